"""Model files, downloads and the Hugging Face hub."""

from __future__ import annotations

from doctor.reports.patterns.row import Row

ROWS: tuple[Row, ...] = (
    Row("hub-gated", r"GatedRepoError|Access to model \S+ is restricted|Cannot access gated repo"
         r"|awaiting a review from the repo authors"
        r"|You must have access to it and be authenticated"),
    Row("hub-auth", r"401 Client Error|403 Client Error|RepositoryNotFoundError"
         r"|Invalid credentials in Authorization header"
        r"|Invalid username or password|token is not valid|LocalTokenNotFoundError", unless=r"\b404\b"),
    Row("hub-missing", r"is not a local folder and is not a valid model identifier|EntryNotFoundError"
         r"|404 Client Error"
        r"|does not appear to have a file named"),
    Row("hub-offline", r"LocalEntryNotFoundError|couldn'?t connect to 'https://huggingface"
         r"|We couldn'?t connect to|Max retries exceeded with url.{0,160}huggingface"
        r"|Temporary failure in name resolution|getaddrinfo failed|offline mode is enabled"
        r"|OfflineModeIsEnabled"
        r"|HfHubHTTPError: 5\d\d|Consistency check failed|ReadTimeoutError.{0,80}(?:hf\.co|huggingface)"
        r"|ConnectionResetError|ProxyError"),
    Row("hub-rate", r"429 Client Error|Too Many Requests|rate limit"),
    Row("symlink", r"WinError 1314|does not support symlinks"),
    Row("file-corrupt", r"HeaderTooLarge|HeaderTooSmall|InvalidHeaderDeserialization"
         r"|MetadataIncompleteBuffer|IncompleteMetadata"
        r"|Error while deserializing header|PytorchStreamReader failed|failed finding central directory"
        r"|UnpicklingError: invalid load key"
        r"|unexpected EOF, expected \d+ more bytes|file might be corrupted|invalid load key"
        r"|checksum mismatch"),
    Row("file-pointer", r"version https://git-lfs|invalid load key, 'v'"),
    Row("wrong-model", r"size mismatch for \S+: copying a param|Missing key\(s\) in state_dict"
         r"|Could not detect model type"
        r"|ERROR: Could not detect model type of|mat1 and mat2 shapes cannot be multiplied"),
    Row("no-checkpoint", r"No checkpoints found|prompt_no_outputs.{0,40}ckpt|Value not in list: ckpt_name"
         r"|FileNotFoundError: .{0,60}\.(?:safetensors|ckpt)"),
)  # fmt: skip
