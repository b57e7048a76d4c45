from shared.problems import Conflict


class LastAdmin(Conflict):
    code, title = "last_admin", "The last admin cannot leave; make another one first"
