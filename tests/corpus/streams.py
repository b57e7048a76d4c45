"""Files of other streams than a picture and a sound, and with words that want to be commands."""

from tests.clips import H264, PICTURE, SOUND, Clips
from tests.corpus.entry import NO_STREAM, Entries
from tests.corpus.trap import Trap

ENTRIES = Entries()
WORDS = ("-i", "/etc/passwd", "%d", "$(touch owned)", "`id`", "a\nb", "'; rm -rf .", "concat:x|y", "--", "\\", "\u202e")


@ENTRIES.refused(NO_STREAM)
def sound_alone(clips: Clips, trap: Trap) -> bytes:
    return clips.sound_only


@ENTRIES.refused(NO_STREAM)
def sound_with_a_cover(clips: Clips, trap: Trap) -> bytes:
    return clips.sound_with_cover


@ENTRIES.refused(NO_STREAM)
def subtitles_alone(clips: Clips, trap: Trap) -> bytes:
    text = clips.folder / "text.srt"
    text.write_text("1\n00:00:00,000 --> 00:00:01,000\n<script>1</script>\n")
    return clips.made("text.mkv", "-i", str(text), "-c:s", "srt")


@ENTRIES.taken
def a_cover_before_the_film(clips: Clips, trap: Trap) -> bytes:
    return clips.film_with_cover


@ENTRIES.taken
def words_that_want_to_be_commands(clips: Clips, trap: Trap) -> bytes:
    said = [
        part for n, word in enumerate(WORDS) for part in ("-metadata", f"key{n}={word}", "-metadata", f"title={word}")
    ]
    return clips.made("words.mkv", *PICTURE, *SOUND, *H264, *said, "-metadata:s:v", "title=-i /etc/passwd")


@ENTRIES.taken
def a_title_in_another_encoding(clips: Clips, trap: Trap) -> bytes:
    """Arabic as Windows wrote it before Unicode."""
    named = clips.made("named.avi", *PICTURE, *H264, "-metadata", "title=xxxxxxxx")
    return named.replace(b"xxxxxxxx", "موسيقى  ".encode("cp1256")[:8].ljust(8))


@ENTRIES.refused("streams; at most 64")
def a_film_with_seventy_sounds(clips: Clips, trap: Trap) -> bytes:
    many = [part for _ in range(70) for part in ("-map", "1:a")]
    return clips.made("loud.mkv", *PICTURE, *SOUND, "-map", "0:v", *many, *H264, "-c:a", "pcm_s16le", seconds=0.2)


@ENTRIES.refused("The sound is in a format that is not taken")
def a_sound_that_only_few_programs_write(clips: Clips, trap: Trap) -> bytes:
    return clips.made("rare.mkv", *PICTURE, *SOUND, *H264, "-c:a", "tta")
