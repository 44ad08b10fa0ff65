"""Error lines about downloads from the Hugging Face hub."""

from __future__ import annotations

from doctor.checks.reported.rules import Rule, check_of
from doctor.finding import Remedy, Severity

_RULES = (
    Rule(kind="hub-gated", id="hub-gated", title="The model is gated: its licence must be accepted on its "
         "page first.",
         cause="The owner lets only people download it who agreed, with the token of their account.",
         remedy=Remedy("Accept it on the model's page, then log in with a token that may read "
              "it.", ("hf auth login",))),
    Rule(kind="hub-auth", id="hub-auth", title="The hub refused the request: no token, a wrong one, or a "
         "name that does not exist.",
         cause="For a private or misspelt name the hub answers like this to anybody without the right "
              "token.",
         remedy=Remedy("Check the name, then log in.", ("hf auth login", "hf auth whoami"))),
    Rule(kind="hub-rate", id="hub-rate-limit", title="The hub answers 'too many requests'.",
         cause="Addresses without a token have a low limit, and share it with others behind the same "
              "address.",
         remedy=Remedy("Log in, wait some minutes, try again.", ("hf auth login",))),
    Rule(kind="hub-missing", id="hub-file-missing", title="The model or a file of it is not found under "
         "that name.",
         cause="The name is misspelt, the repository was moved, or it does not hold the file or variant "
              "that is asked for.",
         remedy=Remedy("Look at the model's page for its name and files; leave variant='fp16' out if it "
              "has none.")),
    Rule(kind="hub-offline", id="hub-unreachable", title="The hub cannot be reached from here.",
         cause="No network, a proxy, a blocked address or the offline switch (HF_HUB_OFFLINE). What is in "
              "the cache still works.",
         remedy=Remedy("Check network and proxy (HTTPS_PROXY), or use a mirror (HF_ENDPOINT) or files "
              "downloaded elsewhere.",
                       ("unset HF_HUB_OFFLINE", "curl -I https://huggingface.co"))),
    Rule(kind="symlink", id="symlinks-off", severity=Severity.NOTE, title="The cache cannot use symbolic "
         "links here.",
         cause="Windows allows them in developer mode only. Without them files may be stored twice.",
         remedy=Remedy("Switch developer mode on; or leave it as it is.")),
)  # fmt: skip

CHECK = check_of(
    "hub",
    "Do the error lines blame downloads from the hub?",
    {
        "hub-gated": "The model is gated.",
        "hub-auth": "The hub refused the request.",
        "hub-rate-limit": "The hub answers 'too many requests'.",
        "hub-file-missing": "The model or a file of it is not found.",
        "hub-unreachable": "The hub cannot be reached.",
        "symlinks-off": "The cache cannot use symbolic links (nothing wrong).",
    },
    ("huggingface.co/docs/huggingface_hub", "huggingface.co/docs/hub/models-gated"),
    rules=_RULES,
)
