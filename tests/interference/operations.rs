//! What is done with a socket's file, and what has the name before.

use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use afunix::{
    AsFd, AsRawFd, Gid, OwnedFd, SocketFile, SocketFileError, SocketFileOptions, UnixDatagram,
    UnixListener,
};

use crate::common::stepper::{Go, Stop, step};
use crate::world::{Node, TEMPORARY, World, node};

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Operation {
    Plain,
    /// Relative to a directory's descriptor.
    At,
    Reclaim,
    /// Where nothing is to be reclaimed.
    ReclaimNothing,
    ReplaceServer,
    ReplaceStale,
    ReplaceNothing,
    PublishReady,
    /// Under the temporary name first, and a stale socket has the name.
    ReclaimReady,
    Datagram,
    Remove,
    /// Beside what a process left that was killed.
    RemoveBeside,
}

/// A test of each operation, by a function of it. A module's own name is the start of those of its tests.
macro_rules! test_each_operation {
    ($module:literal, $body:path) => {
        test_each_operation! { $module, $body;
            plain Plain
            at At
            reclaim Reclaim
            reclaim_nothing ReclaimNothing
            replace_server ReplaceServer
            replace_stale ReplaceStale
            replace_nothing ReplaceNothing
            publish_ready PublishReady
            reclaim_ready ReclaimReady
            datagram Datagram
            remove Remove
            remove_beside RemoveBeside
        }
    };
    ($module:literal, $body:path; $($test:ident $operation:ident)+) => {
        $(#[test]
        fn $test() {
            let test = concat!($module, stringify!($test));
            passes_with_stops(test, || $body(Operation::$operation));
        })+
    };
}

pub const OPERATIONS: [Operation; 12] = [
    Operation::Plain,
    Operation::At,
    Operation::Reclaim,
    Operation::ReclaimNothing,
    Operation::ReplaceServer,
    Operation::ReplaceStale,
    Operation::ReplaceNothing,
    Operation::PublishReady,
    Operation::ReclaimReady,
    Operation::Datagram,
    Operation::Remove,
    Operation::RemoveBeside,
];

/// What the operation gave; the sockets are open as long as it lives.
#[allow(dead_code)]
#[derive(Debug)]
pub enum Made {
    Listener(UnixListener, SocketFile),
    Datagram(UnixDatagram, SocketFile),
    Removed(bool),
}

/// What the process tells of it.
#[derive(Clone, Copy, Debug)]
pub struct Told {
    pub answer: Result<bool, SocketFileError>,
    /// The file that it made, or removed.
    pub node: Option<Node>,
    /// What came of the same operation once more, if it had failed.
    pub again: Option<Result<bool, SocketFileError>>,
}

/// How long each waits for the lock, in milliseconds.
pub static LOCK_WAIT: AtomicU64 = AtomicU64::new(5000);

/// What had the name before.
#[derive(Debug, Default)]
pub struct Before {
    pub server: Option<UnixListener>,
    pub node: Option<Node>,
}

impl Before {
    /// A server that had the name still has it, and serves.
    pub fn is_served(&self, path: &Path) -> bool {
        let is_served = |server: &UnixListener| {
            let client = UnixStream::connect(path);
            client.is_ok() && server.accept().is_ok()
        };
        node(path) == self.node && self.server.as_ref().is_none_or(is_served)
    }
}

impl Operation {
    pub fn removes(self) -> bool {
        matches!(self, Self::Remove | Self::RemoveBeside)
    }

    pub fn replaces(self) -> bool {
        matches!(self, Self::ReplaceServer | Self::ReplaceStale | Self::ReplaceNothing)
    }

    /// Prepares what has the name before.
    pub fn before(self, world: &World) -> Before {
        match self {
            Self::Reclaim | Self::ReclaimReady | Self::ReplaceStale => {
                Before { node: Some(world.stale()), server: None }
            }
            Self::ReplaceServer => {
                let (server, node) = world.live();
                Before { server: Some(server), node: Some(node) }
            }
            _ => Before::default(),
        }
    }

    /// The options; with a mode that the umask takes from, and a group, so that each step is made.
    fn options(self, path: &[u8]) -> SocketFileOptions<'_> {
        let wait = Duration::from_millis(LOCK_WAIT.load(Ordering::Relaxed));
        let options = SocketFile::options(path).mode(0o666).lock_wait(wait);
        let options = if self == Self::Datagram { options } else { options.group(group()) };
        match self {
            Self::Plain | Self::At | Self::Datagram | Self::Remove | Self::RemoveBeside => options,
            Self::Reclaim | Self::ReclaimNothing => options.reclaim(),
            Self::ReplaceServer | Self::ReplaceStale | Self::ReplaceNothing => options.replace(),
            Self::PublishReady => options.publish_ready(),
            Self::ReclaimReady => options.reclaim().publish_ready(),
        }
    }

    pub fn make(self, ready: &Ready, path: &[u8]) -> Result<Made, SocketFileError> {
        let listener = |options: SocketFileOptions<'_>| {
            options.listener().map(|(listener, file)| Made::Listener(listener, file))
        };
        match (self, ready) {
            (_, Ready::File(made)) => made.1.remove().map(Made::Removed),
            (_, Ready::Folder(folder)) => {
                listener(self.options(b"control").at(AsFd::as_fd(folder)))
            }
            (Self::Datagram, _) => {
                self.options(path).datagram().map(|(socket, file)| Made::Datagram(socket, file))
            }
            _ => listener(self.options(path)),
        }
    }
}

/// The group that this process has anyway; asked for once, in the process that is copied.
pub fn group() -> Gid {
    static GROUP: OnceLock<u32> = OnceLock::new();
    // SAFETY: it cannot fail.
    Gid::from_raw(*GROUP.get_or_init(|| unsafe { libc::getegid() }))
}

/// What an operation begins with.
#[allow(dead_code)]
pub enum Ready {
    Nothing,
    Folder(OwnedFd),
    File(Box<(UnixListener, SocketFile)>),
}

impl Ready {
    pub fn new(operation: Operation, path: &[u8], folder: &Path) -> Self {
        match operation {
            Operation::Remove | Operation::RemoveBeside => {
                let made = operation.options(path).listener().unwrap();
                if operation == Operation::RemoveBeside {
                    drop(std::os::unix::net::UnixListener::bind(folder.join(TEMPORARY)).unwrap());
                }
                Self::File(Box::new(made))
            }
            Operation::At => {
                use rustix::fs::{Mode, OFlags, open};
                let flags = OFlags::PATH | OFlags::CLOEXEC;
                Self::Folder(open(folder.to_str().unwrap(), flags, Mode::empty()).unwrap())
            }
            _ => Self::Nothing,
        }
    }
}

/// Has another process do it, which stops before each of its calls and keeps all that it has to its end.
pub fn run(
    operation: Operation,
    world: &World,
    again: bool,
    at: impl FnMut(i32, Stop) -> Go,
) -> Told {
    let (path, folder) = (world.bytes(), world.folder());
    group();
    step(
        || Ready::new(operation, &path, &folder),
        |ready| {
            let done = operation.make(&ready, &path);
            (ready, done)
        },
        |(ready, done)| {
            let told = tell(operation, &ready, &done, again.then_some(&path));
            std::mem::forget((ready, done));
            told
        },
        at,
    )
}

fn tell(
    operation: Operation,
    ready: &Ready,
    done: &Result<Made, SocketFileError>,
    path: Option<&Vec<u8>>,
) -> Told {
    let answer = |done: &Result<Made, SocketFileError>| match done {
        Ok(Made::Removed(was)) => Ok(*was),
        Ok(_) => Ok(true),
        Err(error) => Err(*error),
    };
    let file = match (done, ready) {
        (Ok(Made::Listener(_, file) | Made::Datagram(_, file)), _) => Some(file),
        (_, Ready::File(made)) => Some(&made.1),
        _ => None,
    };
    let again = path.filter(|_| done.is_err()).map(|path| {
        let done = operation.make(ready, path);
        let answer = answer(&done);
        std::mem::forget(done);
        answer
    });
    Told { answer: answer(done), node: file.map(opened), again }
}

/// What a `SocketFile` has open.
fn opened(file: &SocketFile) -> Node {
    let number = AsFd::as_fd(file).as_raw_fd();
    let found = std::fs::metadata(format!("/proc/self/fd/{number}")).unwrap();
    (found.dev(), found.ino())
}
