"""What is made of a video, one step after the other; each leaves finished files, or none."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from cloud_service.processing import commands
from cloud_service.processing.ffmpeg import Ffmpeg, FfmpegFailed, Progress, Starved
from cloud_service.processing.fragments import Fragmented, NotFragmented, read_fragmented
from cloud_service.processing.ladder import Target, targets
from cloud_service.processing.playlists import master_playlist, media_playlist, peak_bitrate
from cloud_service.processing.source import SEGMENT_S, CannotProcess, Source
from cloud_service.processing.storyboard import cues, sheet_for
from cloud_service.videos.models import Rendition
from cloud_service.videos.store import MASTER, POSTER, STORYBOARD, STORYBOARD_INDEX

MAKE_POSTER, MAKE_STORYBOARD = "poster", "storyboard"
OFF_S, OFF_SHARE = 1.0, 0.005
"""How far a rendition's length may be from its source's: sources are damaged, and say so nowhere."""

MOST_DAMAGED = 0.5
"""Which share of a picture's frames may be, before it is no video any more."""
TOO_MANY = "Decode error rate"

OnProgress = Callable[[float, float], None]
"""Told the share of the step that is done, from 0 to 1, and the speed in seconds of video a second."""


@dataclass(frozen=True, slots=True)
class Step:
    """`weight` is the share it takes of all the work, in no unit."""

    name: str
    weight: float
    target: Target | None = None


@dataclass(frozen=True, slots=True)
class Made:
    """Names of finished files, in the order in which to put them in their place: a playlist after what it lists."""

    rendition: Rendition | None
    files: Sequence[str]


def plan(source: Source) -> list[Step]:
    """The first rendition comes early: with it the video plays everywhere."""
    first, *others = [Step(target.name, _weight(target, source), target) for target in targets(source)]
    seconds = max(1.0, source.duration_s)
    return [Step(MAKE_POSTER, 10), first, Step(MAKE_STORYBOARD, 10 + seconds / 20), *others]


def _weight(target: Target, source: Source) -> float:
    """About the seconds that a processor takes."""
    reading = source.picture.width * source.picture.height
    if target.copies_picture:
        return 1 + source.duration_s * (0.01 + float(target.frame_rate) * reading / 2e8)
    pixels = target.width * target.height * 2 + reading
    return 1 + source.duration_s * float(target.frame_rate) * pixels / 5e7


async def carry_out(
    step: Step,
    source: Source,
    original: Path,
    folder: Path,
    ffmpeg: Ffmpeg,
    made: Sequence[Rendition],
    on_progress: OnProgress,
) -> Made:
    """Into `folder`; `made` are the renditions there are already. Raises what `Ffmpeg.run` raises."""

    done = speed = 0.0

    def told(progress: Progress) -> None:
        nonlocal done, speed  # picture and sound get on by turns, and what is told is where the one behind is, or not
        done = min(1.0, max(done, progress.seconds / max(source.duration_s, 0.001)))
        speed = progress.speed or speed
        on_progress(done, speed)

    if step.target:
        return await _make_rendition(step.target, source, original, folder, ffmpeg, made, told)
    if step.name == MAKE_POSTER:
        return await _make_poster(source, original, folder, ffmpeg)
    return await _make_storyboard(source, original, folder, ffmpeg, told)


async def _make_rendition(
    target: Target,
    source: Source,
    original: Path,
    folder: Path,
    ffmpeg: Ffmpeg,
    made: Sequence[Rendition],
    on_progress: Callable[[Progress], None],
) -> Made:
    output = folder / f"{target.name}.mp4"

    async def make(how: Target) -> Fragmented:
        arguments = commands.rendition(original, source, how, output)
        said = await ffmpeg.run(arguments, reads=[original], writes=folder, on_progress=on_progress)
        return _checked(output, source, how, said)

    try:
        file = await make(target)
        if target.copies_picture and await _is_damaged(output, ffmpeg):
            file = await make(replace(target, copies_picture=False))
    except BaseException:
        output.unlink(missing_ok=True)
        raise
    rendition = Rendition(
        name=target.name,
        width=file.width,
        height=file.height,
        frame_rate=round(float(target.frame_rate), 3),
        size=file.size,
        bitrate=peak_bitrate(file.segments),
        codecs=file.codecs,
    )
    others = [other for other in made if other.name != target.name]
    (folder / f"{target.name}.m3u8").write_text(media_playlist(target.name, file))
    (folder / MASTER).write_text(master_playlist([*others, rendition], source.duration_s))
    return Made(rendition, [output.name, f"{target.name}.m3u8", MASTER])


async def _is_damaged(output: Path, ffmpeg: Ffmpeg) -> bool:
    """Whether a picture that nobody has decoded yet is, so that players may end there. Raises CannotProcess."""
    try:
        await ffmpeg.run(commands.watching(output), reads=[output], writes=output.parent)
    except Starved:
        raise
    except FfmpegFailed:
        try:
            arguments = commands.watching(output, at_most_damaged=MOST_DAMAGED)
            await ffmpeg.run(arguments, reads=[output], writes=output.parent)
        except FfmpegFailed as error:
            if TOO_MANY not in error.detail:
                raise
            raise CannotProcess("The video is damaged: most of its picture cannot be shown.") from None
        return True
    return False


def _checked(output: Path, source: Source, target: Target, said: str) -> Fragmented:
    """FFmpeg may end well with half a video. Raises FfmpegFailed."""
    try:
        file = read_fragmented(output)
    except (NotFragmented, OSError) as error:
        raise FfmpegFailed("The conversion made no video.", f"{error}\n{said}") from None
    expected_s = source.picture.ends_s if target.copies_picture else source.duration_s
    if abs(file.duration_s - expected_s) > max(OFF_S, OFF_SHARE * expected_s):
        detail = f"{file.duration_s:.3f} s of {expected_s:.3f} s\n{said}"
        raise FfmpegFailed("The video is damaged: only a part of it could be converted.", detail)
    if (file.width, file.height) != (target.width, target.height) or ("mp4a" in file.codecs) != bool(source.sound):
        detail = f"{file.width} by {file.height}, {file.codecs}\n{said}"
        raise FfmpegFailed("The conversion did not make what it should have.", detail)
    longest_s = max(segment.duration_s for segment in file.segments)
    if longest_s > SEGMENT_S + 1.5 / float(target.frame_rate):
        raise FfmpegFailed("The video is damaged: it cannot be cut into segments.", f"one of {longest_s:.3f} s\n{said}")
    return file


async def _make_poster(source: Source, original: Path, folder: Path, ffmpeg: Ffmpeg) -> Made:
    """From a tenth into it; what is black there is looked for elsewhere, and shown if there is nothing else."""
    output = folder / POSTER
    length_s = source.picture.ends_s
    from_s = 0.1 * length_s if length_s > 1 else 0.0
    failed = FfmpegFailed("The video has no picture that can be shown.")
    for at_s, any_frame in ((from_s, False), (0.5 * length_s, False), (0.0, False), (from_s, True), (0.0, True)):
        arguments = commands.poster(original, source, at_s, output, any_frame=any_frame)
        try:
            failed.detail = await ffmpeg.run(arguments, reads=[original], writes=folder)
        except FfmpegFailed as error:  # it may be damaged there, and nowhere else
            failed = error
        if output.exists() and output.stat().st_size:
            return Made(None, [output.name])
    raise failed


async def _make_storyboard(
    source: Source, original: Path, folder: Path, ffmpeg: Ffmpeg, on_progress: Callable[[Progress], None]
) -> Made:
    output, index = folder / STORYBOARD, folder / STORYBOARD_INDEX
    sheet = sheet_for(source.duration_s, source.picture.width, source.picture.height)
    arguments = commands.storyboard(original, source, sheet, output)
    said = await ffmpeg.run(arguments, reads=[original], writes=folder, on_progress=on_progress)
    if not output.exists() or not output.stat().st_size:
        raise FfmpegFailed("The conversion made no storyboard.", said)
    index.write_text(cues(sheet, source.duration_s, output.name))
    return Made(None, [output.name, index.name])
