"""What the listener writes into `_diag` beside what it says: the lines, with their components.

The real one writes some 250 lines a life. Here are those that mark what happens, in its order, and
those that a reader must be able to skip: JSON and stack traces, whose lines have no head.
"""

TYPE_CHECKING = False  # importing `typing` costs 8 ms
if TYPE_CHECKING:
    from .program import Terminal

Line = tuple[str, str]  # component and text

CONNECTING = [
    ("ConfigurationStore", "currentAssemblyLocation: bin"),
    ("ConfigurationStore", "HasCredentials()"),
    ("ConfigurationStore", "stored True"),
    ("CredentialManager", "GetCredentialProvider"),
    ("CredentialManager", "Creating type OAuth"),
    ("BrokerMessageListener", "Attempt to create session."),
]
CONNECTED = [("BrokerMessageListener", "Session created.")]
LISTENING = [("JobDispatcher", "Set runner/worker IPC timeout to 30 seconds.")]
# Written 0.13 s before the job has been acquired: the credentials are loaded to fetch it.
MESSAGE = [
    ("ConfigurationStore", "HasCredentials()"),
    ("ConfigurationStore", "stored True"),
    ("CredentialManager", "GetCredentialProvider"),
    ("CredentialManager", "Creating type OAuth"),
    ("RSAFileKeyManager", "Loading RSA key parameters from file .credentials_rsaparams"),
    ("GitHubActionsService", "AAD Correlation ID for this token request: Unknown"),
]
TOKEN = [("GitHubActionsService", "AAD Correlation ID for this token request: Unknown")]
LEAVING = (
    "Job has finished at backend, the runner will exit since it is running under onetime use mode."
)
BROKEN_POLL = """\
Catch exception during request
System.Threading.Tasks.TaskCanceledException: The operation was canceled.
   at System.Net.Http.HttpClient.HandleFailure(Exception e, Boolean telemetryStarted)
   at GitHub.Services.WebApi.VssHttpRetryMessageHandler.SendAsync(HttpRequestMessage request)
   at GitHub.Runner.Listener.BrokerMessageListener.GetNextMessageAsync(CancellationToken token)"""


def acquired(job_id: str) -> list[Line]:
    """The job is this runner's."""
    return [
        ("JobDispatcher", f"Job request 0 for plan {job_id} job {job_id} received."),
        ("JobDispatcher", "Start dispatcher for one time used runner."),
        ("BrokerMessageListener", "Received job status event. JobState: Busy"),
    ]


def starting(path: str, arguments: list[str]) -> list[Line]:
    """The worker is about to be started."""
    return [
        ("ProcessInvokerWrapper", "Starting process:"),
        ("ProcessInvokerWrapper", f"  File name: '{path}'"),
        ("ProcessInvokerWrapper", f"  Arguments: '{' '.join(arguments)}'"),
        ("ProcessInvokerWrapper", f"  Working directory: '{path.rpartition('/')[0]}'"),
    ]


def started(pid: int) -> list[Line]:
    """The worker's process is there."""
    text = f"Process started with process id {pid}, waiting for process exit."
    return [("ProcessInvokerWrapper", text)]


def finished(pid: int, code: int, seconds: float, job_id: str) -> list[Line]:
    """The worker has ended; `code` is 128 and the signal's number if one has killed it."""
    elapsed = f"{int(seconds // 3600):02}:{int(seconds // 60 % 60):02}:{seconds % 60:010.7f}"
    text = f"Finished process {pid} with exit code {code}, and elapsed time {elapsed}."
    return [
        ("ProcessInvokerWrapper", text),
        ("JobDispatcher", f"Worker finished for job {job_id}. Code: {code}"),
    ]


def write(terminal: "Terminal", lines: list[Line]) -> None:
    """Write lines that say nothing on the console."""
    for component, text in lines:
        terminal.trace(text, component=component)
