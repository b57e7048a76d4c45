"""What messages to phones say, in each language. Short: one that fits no single message costs as many as it takes."""

CODE = {
    "en": "{code} is your TopTank code, for ten minutes. Give it to nobody: we never ask for it.",
    "ar": "{code} رمزك في TopTank، صالح لعشر دقائق. لا تعطه لأحد، فنحن لا نطلبه أبدًا.",
}
IN_USE = {
    "en": "Somebody gave this phone to another TopTank account. It is yours already, and nothing was changed.",
    "ar": "أُعطي رقم هذا الهاتف لحساب آخر في TopTank. الرقم لحسابك بالفعل، ولم يتغير شيء.",
}
REPLACED = {
    "en": "Your TopTank account has another phone from now on. If that was not you, change your password now.",
    "ar": "صار لحسابك في TopTank رقم هاتف آخر. إن لم تكن أنت فغيّر كلمة مرورك الآن.",
}


def wording(text: dict[str, str], locale: str | None) -> str:
    """In English where the user's language is not known."""
    return text.get((locale or "en").partition("-")[0].lower(), text["en"])
