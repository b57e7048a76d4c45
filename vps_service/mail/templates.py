"""What mails say, in each language: a subject, and paragraphs of plain text from which the HTML is made.

Nothing in a mail to an address that nobody has confirmed is anybody's own text: a name would carry a stranger's
message to whomever they like. A username alone may be named, `unlinked`, where nobody would know otherwise which
account is meant.
"""

from string import Formatter

TEMPLATES: dict[str, dict[str, tuple[str, str]]] = {
    "verify_email": {
        "en": (
            "Confirm your e-mail address",
            "Somebody, probably you, gave this address to the TopTank account with this username:\n\n"
            "{username}\n\n"
            "To confirm that it is yours, open this link:\n\n"
            "{link}\n\n"
            "It works once, until {until}. If that is not your account, do not open it: your address would be that"
            " account's. Nothing else needs to be done.",
        ),
        "ar": (
            "تأكيد عنوان بريدك الإلكتروني",
            "سُجّل هذا العنوان، وغالبًا أنت من سجّله، لحساب TopTank الذي اسم المستخدم فيه:\n\n"
            "{username}\n\n"
            "لتأكيد أنه لك افتح هذا الرابط:\n\n"
            "{link}\n\n"
            "يعمل الرابط مرة واحدة حتى {until}. إن لم يكن هذا حسابك فلا تفتحه، وإلا صار عنوانك لذلك الحساب. ولا يلزمك"
            " فعل شيء آخر.",
        ),
    },
    "reset_password": {
        "en": (
            "Choose a new password",
            "Somebody, probably you, asked for a new password for the TopTank account with this username:\n\n"
            "{username}\n\n"
            "To choose one, open this link:\n\n"
            "{link}\n\n"
            "It works once, until {until}. If that is not your account, do nothing. If it is, and it was not you who"
            " asked, nothing needs to be done either: your password stays.",
        ),
        "ar": (
            "اختيار كلمة مرور جديدة",
            "طُلبت كلمة مرور جديدة، وغالبًا أنت من طلبها، لحساب TopTank الذي اسم المستخدم فيه:\n\n"
            "{username}\n\n"
            "لاختيارها افتح هذا الرابط:\n\n"
            "{link}\n\n"
            "يعمل الرابط مرة واحدة حتى {until}. إن لم يكن هذا حسابك فلا تفعل شيئًا. وإن كان حسابك ولم تطلب ذلك فلا يلزمك"
            " فعل شيء أيضًا: تبقى كلمة مرورك كما هي.",
        ),
    },
    "change_email": {
        "en": (
            "Confirm your new e-mail address",
            "Somebody, probably you, wants this to be the address of the TopTank account with this username:\n\n"
            "{username}\n\n"
            "To confirm that it is yours, open this link:\n\n"
            "{link}\n\n"
            "It works once, until {until}. If that is not your account, do not open it: your address would be that"
            " account's. Nothing else needs to be done.",
        ),
        "ar": (
            "تأكيد عنوان بريدك الجديد",
            "طُلب، وغالبًا أنت من طلب ذلك، أن يصبح هذا العنوان عنوان حساب TopTank الذي اسم المستخدم فيه:\n\n"
            "{username}\n\n"
            "لتأكيد أنه لك افتح هذا الرابط:\n\n"
            "{link}\n\n"
            "يعمل الرابط مرة واحدة حتى {until}. إن لم يكن هذا حسابك فلا تفتحه، وإلا صار عنوانك لذلك الحساب. ولا يلزمك"
            " فعل شيء آخر.",
        ),
    },
    "address_in_use": {
        "en": (
            "You have an account already",
            "Somebody, probably you, gave this address to another TopTank account. It is the address of your account"
            " already, and nothing was changed.\n\n"
            "You can sign in with it. If you forgot your password, choose a new one: {link}\n\n"
            "If it was not you, nothing needs to be done.",
        ),
        "ar": (
            "لديك حساب بالفعل",
            "أُعطي هذا العنوان لحساب آخر في TopTank، وغالبًا أنت من فعل ذلك. هذا العنوان هو عنوان حسابك بالفعل، ولم يتغير"
            " شيء.\n\n"
            "يمكنك تسجيل الدخول به. وإن نسيت كلمة مرورك فاختر كلمة مرور جديدة: {link}\n\n"
            "إن لم تكن أنت فلا يلزمك فعل شيء.",
        ),
    },
    "email_changed": {
        "en": (
            "Your e-mail address was changed",
            "Your TopTank account has another e-mail address from now on, and nothing more about it is sent to this"
            " one.\n\n"
            "If it was not you, tell those who run the platform at once: {link}",
        ),
        "ar": (
            "تم تغيير عنوان بريدك الإلكتروني",
            "صار لحسابك في TopTank عنوان بريد إلكتروني آخر، ولن تصلك رسائله على هذا العنوان بعد الآن.\n\n"
            "إن لم تكن أنت فأبلغ القائمين على المنصة فورًا: {link}",
        ),
    },
    "password_changed": {
        "en": (
            "Your password was changed",
            "The password of your TopTank account was just changed, and everybody else who was signed in to it was"
            " signed out.\n\n"
            "If it was not you, choose another now: {link}",
        ),
        "ar": (
            "تم تغيير كلمة مرورك",
            "غُيّرت كلمة مرور حسابك في TopTank الآن، وأُنهيت كل جلسات الدخول إليه.\n\n"
            "إن لم تكن أنت فاختر كلمة مرور أخرى الآن: {link}",
        ),
    },
    "totp_enabled": {
        "en": (
            "Your second factor was switched on",
            "From now on, signing in to your TopTank account takes a code besides the password.\n\n"
            "If it was not you, choose another password now, and tell those who run the platform: {link}",
        ),
        "ar": (
            "تم تفعيل العامل الثاني لحسابك",
            "من الآن يتطلب الدخول إلى حسابك في TopTank رمزًا إلى جانب كلمة المرور.\n\n"
            "إن لم تكن أنت فاختر كلمة مرور أخرى الآن وأبلغ القائمين على المنصة: {link}",
        ),
    },
    "totp_removed": {
        "en": (
            "Your second factor was removed",
            "From now on, the password alone signs in to your TopTank account.\n\n"
            "If it was not you, choose another password now: {link}",
        ),
        "ar": (
            "تمت إزالة العامل الثاني من حسابك",
            "من الآن تكفي كلمة المرور وحدها للدخول إلى حسابك في TopTank.\n\n"
            "إن لم تكن أنت فاختر كلمة مرور أخرى الآن: {link}",
        ),
    },
    "recovery_code_used": {
        "en": (
            "A recovery code was used",
            "Somebody, probably you, signed in to your TopTank account with the password and a recovery code. It is"
            " spent now; new ones can be made in its place.\n\n"
            "If it was not you, choose another password now: {link}",
        ),
        "ar": (
            "استُخدم أحد رموز الاسترداد",
            "سُجّل الدخول إلى حسابك في TopTank بكلمة المرور وأحد رموز الاسترداد، وغالبًا أنت من سجّله. لم يعد هذا الرمز"
            " صالحًا، ويمكن إنشاء رموز جديدة بدلًا منه.\n\n"
            "إن لم تكن أنت فاختر كلمة مرور أخرى الآن: {link}",
        ),
    },
    "second_factor_failed": {
        "en": (
            "Somebody may know your password",
            "Somebody gave the right password of your TopTank account, and several times a wrong code of its second"
            " factor. Nobody was let in by that.\n\n"
            "If it was not you, choose another password now: {link}",
        ),
        "ar": (
            "ربما عرف غيرك كلمة مرورك",
            "أُدخلت كلمة مرور حسابك في TopTank صحيحة، ومعها رمز خاطئ للعامل الثاني عدة مرات. ولم يدخل أحد إلى حسابك"
            " بذلك.\n\n"
            "إن لم تكن أنت فاختر كلمة مرور أخرى الآن: {link}",
        ),
    },
    "recovery_codes_replaced": {
        "en": (
            "Your recovery codes were replaced",
            "Your TopTank account has new recovery codes, and the old ones are void.\n\n"
            "If it was not you, choose another password now: {link}",
        ),
        "ar": (
            "تم استبدال رموز الاسترداد",
            "أُنشئت لحسابك في TopTank رموز استرداد جديدة، ولم تعد الرموز القديمة صالحة.\n\n"
            "إن لم تكن أنت فاختر كلمة مرور أخرى الآن: {link}",
        ),
    },
    "teacher_verified": {
        "en": (
            "You are a verified teacher",
            "Your TopTank account is that of a verified teacher now: you can upload videos to the lessons of your"
            " courses.\n\n"
            "It stays so, also should the number of your followers fall again.",
        ),
        "ar": (
            "أصبحت معلّمًا موثّقًا",
            "حسابك في TopTank موثّق الآن كمعلّم: يمكنك رفع مقاطع الفيديو إلى دروس دوراتك.\n\n"
            "ويبقى كذلك حتى لو نقص عدد متابعيك لاحقًا.",
        ),
    },
    "account_leaving": {
        "en": (
            "Your account is to be deleted",
            "Somebody, probably you, asked for your TopTank account to be deleted. Signing in before {until} takes"
            " that back; afterwards it is gone, and everything personal with it.\n\n"
            "If it was not you, sign in now and choose another password: {link}",
        ),
        "ar": (
            "سيُحذف حسابك",
            "طُلب حذف حسابك في TopTank، وغالبًا أنت من طلبه. تسجيل الدخول قبل {until} يلغي الطلب، وبعد ذلك يُحذف الحساب"
            " وكل ما فيه من بيانات شخصية.\n\n"
            "إن لم تكن أنت فسجّل الدخول الآن واختر كلمة مرور أخرى: {link}",
        ),
    },
}

PAGES = {
    "verify_email": "verify-email",
    "reset_password": "reset-password",
    "change_email": "change-email",
    **dict.fromkeys(
        (
            *("password_changed", "totp_enabled", "totp_removed"),
            *("recovery_code_used", "recovery_codes_replaced", "second_factor_failed"),
        ),
        "forgot-password",
    ),
    "address_in_use": "forgot-password",
}
"""The page that a template's {link} leads to; where the mail's values name a `proof`, with the token for it."""

FILLED_IN = {"link", "until"}
"""Known only when the mail is sent; whoever queues it gives the rest."""


def wording(template: str, language: str) -> tuple[str, str]:
    """Subject and text; in English where the language is not known. Raises KeyError for an unknown template."""
    by_language = TEMPLATES[template]
    return by_language.get(language.partition("-")[0].lower(), by_language["en"])


def unlinked(username: str) -> str:
    """With its dots apart: mail programs make a link of what looks like the name of a host."""
    return username.replace(".", " . ")


def wanted_values(template: str) -> set[str]:
    """The names that whoever queues the mail has to give."""
    named = (name for part in wording(template, "en") for _, name, _, _ in Formatter().parse(part) if name)
    return set(named) - FILLED_IN
