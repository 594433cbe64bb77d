"""The lines that the listener writes into `_diag` only, with their components.

The real one writes some 250 lines a life. These are the lines that mark an event, in the real
order, and some that a reader has to skip: JSON and stack traces go on over lines without a head.
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
# The listener loads its credentials to fetch the job, 0.13 s before it has acquired it.
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
    """Return the lines of a job that this runner has acquired."""
    return [
        ("JobDispatcher", f"Job request 0 for plan {job_id} job {job_id} received."),
        ("JobDispatcher", "Start dispatcher for one time used runner."),
        ("BrokerMessageListener", "Received job status event. JobState: Busy"),
    ]


def starting(path: str, arguments: list[str]) -> list[Line]:
    """Return the lines before a worker's process starts."""
    return [
        ("ProcessInvokerWrapper", "Starting process:"),
        ("ProcessInvokerWrapper", f"  File name: '{path}'"),
        ("ProcessInvokerWrapper", f"  Arguments: '{' '.join(arguments)}'"),
        ("ProcessInvokerWrapper", f"  Working directory: '{path.rpartition('/')[0]}'"),
    ]


def started(pid: int) -> list[Line]:
    """Return the line that a worker's process has started."""
    text = f"Process started with process id {pid}, waiting for process exit."
    return [("ProcessInvokerWrapper", text)]


def finished(pid: int, code: int, seconds: float, job_id: str) -> list[Line]:
    """Return the lines that a worker has ended; a signal's code is 128 and its number."""
    elapsed = f"{int(seconds // 3600):02}:{int(seconds // 60 % 60):02}:{seconds % 60:010.7f}"
    text = f"Finished process {pid} with exit code {code}, and elapsed time {elapsed}."
    return [
        ("ProcessInvokerWrapper", text),
        ("JobDispatcher", f"Worker finished for job {job_id}. Code: {code}"),
    ]


def write(terminal: "Terminal", lines: list[Line]) -> None:
    """Write lines into the log, and not on the console."""
    for component, text in lines:
        terminal.trace(text, component=component)
