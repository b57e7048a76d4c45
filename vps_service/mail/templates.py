"""What mails say, in each language: a subject, and paragraphs of plain text from which the HTML is made.

Nothing in a mail to an address that nobody has confirmed is anybody's own text: a name would carry a stranger's
message to whomever they like.
"""

from string import Formatter

TEMPLATES: dict[str, dict[str, tuple[str, str]]] = {
    "verify_email": {
        "en": (
            "Confirm your e-mail address",
            "Somebody, probably you, gave this address to TopTank. To confirm that it is yours, open this link:\n\n"
            "{link}\n\n"
            "It works once, until {until}. If it was not you, nothing needs to be done.",
        ),
        "ar": (
            "تأكيد عنوان بريدك الإلكتروني",
            "سُجّل هذا العنوان في TopTank، وغالبًا أنت من سجّله. لتأكيد أنه لك افتح هذا الرابط:\n\n"
            "{link}\n\n"
            "يعمل الرابط مرة واحدة حتى {until}. إن لم تكن أنت فلا يلزمك فعل شيء.",
        ),
    },
    "reset_password": {
        "en": (
            "Choose a new password",
            "Somebody, probably you, asked for a new password for your TopTank account. To choose one, open this"
            " link:\n\n"
            "{link}\n\n"
            "It works once, until {until}. If it was not you, nothing needs to be done: your password stays.",
        ),
        "ar": (
            "اختيار كلمة مرور جديدة",
            "طُلبت كلمة مرور جديدة لحسابك في TopTank، وغالبًا أنت من طلبها. لاختيارها افتح هذا الرابط:\n\n"
            "{link}\n\n"
            "يعمل الرابط مرة واحدة حتى {until}. إن لم تكن أنت فلا يلزمك فعل شيء: تبقى كلمة مرورك كما هي.",
        ),
    },
    "change_email": {
        "en": (
            "Confirm your new e-mail address",
            "Somebody, probably you, wants this to be the address of a TopTank account. To confirm that it is yours,"
            " open this link:\n\n"
            "{link}\n\n"
            "It works once, until {until}. If it was not you, nothing needs to be done.",
        ),
        "ar": (
            "تأكيد عنوان بريدك الجديد",
            "طُلب أن يصبح هذا العنوان عنوان حساب في TopTank، وغالبًا أنت من طلب ذلك. لتأكيد أنه لك افتح هذا"
            " الرابط:\n\n"
            "{link}\n\n"
            "يعمل الرابط مرة واحدة حتى {until}. إن لم تكن أنت فلا يلزمك فعل شيء.",
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
    "password_changed": "forgot-password",
}
"""The page that a template's {link} leads to; where the mail's values name a `proof`, with the token for it."""

FILLED_IN = {"link", "until"}
"""Known only when the mail is sent; whoever queues it gives the rest."""


def wording(template: str, language: str) -> tuple[str, str]:
    """Subject and text; in English where the language is not known. Raises KeyError for an unknown template."""
    by_language = TEMPLATES[template]
    return by_language.get(language.partition("-")[0].lower(), by_language["en"])


def wanted_values(template: str) -> set[str]:
    """The names that whoever queues the mail has to give."""
    named = (name for part in wording(template, "en") for _, name, _, _ in Formatter().parse(part) if name)
    return set(named) - FILLED_IN
