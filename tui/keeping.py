"""Which of the models that shall be kept tuned are due, and changing that list."""

from __future__ import annotations

from contextlib import suppress

from doctor.daemon.config import config_file, read_config
from doctor.errors import SdoctorError, UsageError
from tuner.kept_models import read_kept_models, write_kept_models
from tuner.models import address_of, resolve
from tuner.service import Due, DueDocument, models_of


def due_models() -> DueDocument:
    """Looks at the machine, and at the profiles. Raises UsageError if the configuration is wrong."""
    models = models_of(read_config(), read_kept_models())
    if not models:
        return DueDocument()
    from doctor.gather import gather
    from tuner.fingerprint import fingerprint_of
    from tuner.store import match
    from tuner.target import choose_target

    facts = gather()
    fingerprint = fingerprint_of(facts, choose_target(facts, "auto"))
    found = []
    for model in models:
        try:
            reason = match(address_of(resolve(model)), fingerprint).reason
            found.append(Due(model=model, due=bool(reason), reason=reason))
        except SdoctorError as error:
            found.append(Due(model=model, due=False, reason=str(error)))
    return DueDocument(models=tuple(found))


def add(model: str) -> str:
    """Put a model on the list; what to tell. Raises UsageError if there is no such model."""
    address = address_of(resolve(model))
    models = read_kept_models()
    if address in models_of(read_config(), models):
        return f"{address} is kept tuned already."
    write_kept_models((*models, address))
    return f"{address} is kept tuned from now on; 'sdoctor daemon due' shows what is to do."


def remove(model: str) -> str:
    """Take a model from the list; what to tell. Raises UsageError if it is not there, or in the configuration."""
    models = read_kept_models()
    names = {model}
    # A model that is gone can still be taken from the list.
    with suppress(SdoctorError):
        names.add(address_of(resolve(model)))
    left = tuple(each for each in models if each not in names)
    if names & set(read_config().keep_tuned):
        raise UsageError(f"{model} is named in {config_file()}; take it out there, under keep_tuned.")
    if left == models:
        raise UsageError(
            f"{model} is not on the list{': ' + ', '.join(models) if models else ', which is empty'}."
        )
    write_kept_models(left)
    return f"{model} is not kept tuned any more; its profile stays."
