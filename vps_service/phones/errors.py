from shared.problems import Conflict, Unavailable


class PhonesNotOffered(Conflict):
    code, title = "phones_not_offered", "This platform sends nothing to phones"


class NoPhone(Conflict):
    code, title = "no_phone", "This account has no phone"


class PhoneAlreadyVerified(Conflict):
    code, title = "phone_already_verified", "This phone is verified already"


class NoCode(Conflict):
    code, title = "no_code", "There is no code to be entered, or not any more; ask for a new one"


class PhoneProviderUnreachable(Unavailable):
    code, title = "phone_provider_unreachable", "The message could not be sent to the phone"
