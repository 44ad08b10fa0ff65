"""Studies of the past: profiles that were saved, and journals of studies that were cut off."""

from __future__ import annotations

from dataclasses import dataclass

from tui.study_state import StudyView, view_of_journal, view_of_profile
from tuner import journal, store


@dataclass(frozen=True, slots=True)
class Past:
    """One that can be shown."""

    label: str
    view: StudyView


def past_studies() -> tuple[Past, ...]:
    """The newest first, cut-off ones before finished ones. What cannot be read is left out."""
    return (*_cut_off(), *_profiles())


def _profiles() -> tuple[Past, ...]:
    profiles = [one.profile for one in store.stored() if one.profile is not None]
    profiles.sort(key=lambda profile: profile.made_at, reverse=True)
    return tuple(
        Past(
            f"{profile.made_at[:16].replace('T', ' ')}  {profile.model}, {len(profile.trials)} trials",
            view_of_profile(profile),
        )
        for profile in profiles
    )


def _cut_off() -> tuple[Past, ...]:
    found = []
    for path in journal.journals_dir().glob("*.jsonl"):
        try:
            kept = journal.read(path)
        except OSError:
            continue
        if kept.begun is not None and kept.trials and not kept.complete:
            found.append((kept.begun.at, kept))
    return tuple(
        Past(
            f"{at[:16].replace('T', ' ')}  {kept.begun.question.model}, cut off after {len(kept.trials)} trials",
            view_of_journal(kept),
        )
        for at, kept in sorted(found, key=lambda item: item[0], reverse=True)
        if kept.begun is not None
    )
