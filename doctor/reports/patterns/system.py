"""The system around: WSL, Windows, shared libraries, disk, host memory."""

from __future__ import annotations

from doctor.reports.patterns.row import Row

ROWS: tuple[Row, ...] = (
    Row("wsl1", r"Linux[- ]4\.4\.0-\d+-Microsoft|WSL version:? 1\b|\bWSL ?1\b.{0,60}(?:GPU|CUDA"
         r"|not support)"
        r"|^\*?\s*(?:Ubuntu|Debian|openSUSE|kali|Fedora)\S*\s+(?:Running|Stopped)\s+1$"),
    Row("pagefile", r"WinError 1455|os error 1455|paging file is too small|Auslagerungsdatei ist zu klein"
        r"|fichier de pagination est insuffisant|archivo de paginaci.n es demasiado|页面文件太小|頁面檔案太小"
        r"|Файл подкачки слишком мал|Недостаточно ресурсов памяти для завершения"
        r"|arquivo de pagina..o . muito pequeno"
        r"|file di paging (?:è|e') troppo piccolo|ページング ?ファイルが小さすぎ"
        r"|페이징 파일이 너무 작|wisselbestand is te klein"
        r"|Plik stronicowania jest za ma|disk belle.i dosyas. .ok k...k"),
    Row("host-memory", r"DefaultCPUAllocator: (?:not enough memory|can'?t allocate memory)"
         r"|\bstd::bad_alloc\b"
        r"|^MemoryError\b|Unable to allocate [\d.]+ [KMGT]iB for an array|Cannot allocate memory"
        r"|memory allocation of \d+ bytes failed|CPU out of memory"
        r"|not enough memory: you tried to allocate"),
    Row("killed", r"^(?:.{0,80}\s)?Killed$|exit(?:ed)?(?: with)?(?: code| status)?:? 137\b"
         r"|Out of memory: Kill(?:ed)? process"
        r"|oom-kill:|OOMKilled\W+true|died with <Signals\.SIGKILL"),
    Row("msvc-runtime", r"WinError 126\].{0,300}(?:c10|fbgemm|torch_python|caffe2|shm|torch_cpu)\S*\.dll"
        r"|Error loading .{0,200}(?:c10|fbgemm|shm|torch_python|torch_cpu|caffe2\w*)\.dll"
        r"|Microsoft Visual C\+\+ Redistributable is not installed|VCRUNTIME140(?:_1)?\.dll|MSVCP140\.dll"
        r"|WinError 1114", unless=r"1455"),
    Row("illegal-instruction", r"Illegal instruction(?: \(core dumped\))?$|0xC000001D"
         r"|STATUS_ILLEGAL_INSTRUCTION"),
    Row("glibc-old", r"version `?GLIBC_(?P<wanted>2\.\d+)'? not found"
         r"|version `?GLIBCXX_(?P<cxx>[\d.]+)'? not found"),
    Row("libgl-missing", r"libGL\.so\.1: cannot open|libgthread-2\.0\.so\.0: cannot open"
         r"|libglib-2\.0\.so\.0: cannot open"),
    Row("tcmalloc-missing", r"Cannot locate TCMalloc"),
    Row("disk-full", r"No space left on device|\[Errno 28\]|os error 28\b|os error 112\b|WinError 112"
        r"|There is not enough space on the disk|Not enough free disk space"),
    Row("shm", r"insufficient shared memory \(shm\)|DataLoader worker .{0,60}Bus error"
         r"|No space left on device: '/dev/shm"
        r"|^Bus error(?: \(core dumped\))?$"),
    Row("port-used", r"\[Errno (?:98|10048)\]|address already in use"
         r"|only one usage of each socket address"),
    Row("long-path", r"enable[- ]long[- ]paths?|WinError 206|Windows Long Path support|path too long"),
    Row("dubious-ownership", r"detected dubious ownership in repository"),
    Row("permission", r"\[Errno 13\] Permission denied: '(?P<path>[^']{1,200})'"
         r"|WinError 5\] Access is denied"),
    Row("blocked-dll", r"An Application Control policy has blocked this file|WinError 4551"),
)  # fmt: skip
