from shared.problems import Unavailable


class NoNodeAvailable(Unavailable):
    code, title = "no_node_available", "No node takes uploads right now"
