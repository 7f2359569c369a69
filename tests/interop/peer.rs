//! The programs at the other end, and how they tell names.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::fd::FromRawFd as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{OnceLock, mpsc};
use std::thread;

use afunix::{IntoRawFd, OwnedFd};

use crate::common::{LONG, run, spawn};
use crate::name::Name;

/// Where the programs are.
const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/interop");

/// The language of the other end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Peer {
    C,
    Python,
}

/// The type of the sockets.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    Stream,
    Datagram,
    Seqpacket,
}

impl Kind {
    const fn word(self) -> &'static str {
        match self {
            Self::Stream => "stream",
            Self::Datagram => "dgram",
            Self::Seqpacket => "seqpacket",
        }
    }
}

/// What the client sends, as the peers know it too.
pub fn payload() -> Vec<u8> {
    (0..=255).collect()
}

/// What the server answers.
pub fn answer() -> Vec<u8> {
    (0..=255).rev().collect()
}

fn hex(bytes: &[u8]) -> String {
    if bytes.is_empty() {
        return "-".to_owned();
    }
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok())
        .collect()
}

/// Compiles `peer.c` or `fds.c`, each once in each process.
fn c_program(name: &str) -> &'static Path {
    static PROGRAMS: [(&str, OnceLock<PathBuf>); 2] =
        [("peer", OnceLock::new()), ("fds", OnceLock::new())];
    let (_, program) = PROGRAMS.iter().find(|(known, _)| *known == name).expect("a program");
    program.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let (fresh, ready) =
            (folder.join(format!("{name}-{}", std::process::id())), folder.join(name));
        let source = format!("{FOLDER}/{name}.c");
        let output = run(Command::new(c_compiler())
            .args(["-std=c11", "-Wall", "-Wextra", "-Werror", "-O1", "-o"])
            .args([fresh.as_os_str(), source.as_ref()]));
        crate::common::assert_success(&output);
        // Renamed into place, so that the tests leave one program behind, not one each time, and
        // never overwrite one that runs.
        fs::rename(&fresh, &ready).expect("a program to rename");
        ready
    })
}

/// An address as the machine of the peers has it, which is another one where this is emulated: the
/// family is a number, and the rest is bytes.
fn theirs(mut sockaddr: Vec<u8>) -> Vec<u8> {
    static SWAPPED: OnceLock<bool> = OnceLock::new();
    let swapped = SWAPPED.get_or_init(|| {
        let order = run(Command::new("python3").args(["-c", "import sys; print(sys.byteorder)"]));
        crate::common::assert_success(&order);
        let ours = if cfg!(target_endian = "big") { "big" } else { "little" };
        String::from_utf8_lossy(&order.stdout).trim() != ours
    });
    if *swapped {
        sockaddr[..2].reverse();
    }
    sockaddr
}

fn c_compiler() -> &'static str {
    ["cc", "gcc"]
        .into_iter()
        .find(|name| {
            let mut command = Command::new(name);
            command.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
            command.status().is_ok_and(|status| status.success())
        })
        .expect("neither `cc` nor `gcc` runs: this test needs a C compiler")
}

impl Peer {
    fn command(self, name: &str) -> Command {
        match self {
            Self::C => Command::new(c_program(name)),
            Self::Python => {
                let mut command = Command::new("python3");
                command.arg(format!("{FOLDER}/{name}.py"));
                command
            }
        }
    }

    /// Starts a server or, if it has somebody to ask, a client.
    pub fn start(self, kind: Kind, name: &Name, asks: Option<&Name>, mute: bool) -> Process {
        let mut command = self.command("peer");
        command.args([if asks.is_some() { "client" } else { "server" }, kind.word()]);
        command.arg(match name {
            Name::Unnamed => "-".to_owned(),
            name => hex(&theirs(name.sockaddr())),
        });
        command.args(asks.map(|server| hex(&theirs(server.sockaddr()))));
        command.args(mute.then_some("mute"));
        command.stdin(Stdio::null());
        self.spawn(command)
    }

    /// Starts the program that has `socket` as its standard input, for descriptors.
    pub fn start_at(self, socket: OwnedFd, role: &str, count: usize) -> Process {
        let mut command = self.command("fds");
        command.args([role, &count.to_string()]);
        // SAFETY: it is given away as a number, so nothing else owns it.
        command.stdin(unsafe { Stdio::from_raw_fd(socket.into_raw_fd()) });
        self.spawn(command)
    }

    fn spawn(self, mut command: Command) -> Process {
        command.stdout(Stdio::piped());
        let mut child = spawn(&mut command).unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let stdout = BufReader::new(child.stdout.take().expect("a piped output"));
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in stdout.lines() {
                // The receiver may have given up.
                let _ = sender.send(line.expect("a line of text"));
            }
        });
        Process { peer: self, child, lines }
    }

    /// How this peer prints `name` where it asked for it as `key` says.
    fn told(self, key: &str, name: &Name) -> String {
        match self {
            // Of a sender without a name the kernel writes nothing, not even the family.
            Self::C if key == "from" && matches!(name, Name::Unnamed) => format!("{key} 0 -"),
            Self::C => {
                let reported = name.reported();
                format!("{key} {} {}", reported.len(), hex(&theirs(reported)))
            }
            Self::Python => match name {
                Name::Unnamed if key == "from" => format!("{key} none -"),
                Name::Unnamed => format!("{key} str -"),
                Name::Path(path) => format!("{key} str {}", hex(path)),
                name => format!("{key} bytes {}", hex(&name.sockaddr()[2..])),
            },
        }
    }

    /// Shows by trying that this peer cannot bind or reach `name`, and says that it is left out.
    pub fn refuses(self, kind: Kind, name: &Name) {
        // Python's socket module wants room for a NUL, in `sun_path`, behind a path.
        const WHY: &str = "AF_UNIX path too long";
        let mut command = self.command("peer");
        let output = run(command.args(["refuse", kind.word(), &hex(&theirs(name.sockaddr()))]));
        let said = String::from_utf8_lossy(&output.stdout);
        assert_eq!(said, format!("refused {WHY}\n").repeat(3), "{output:?}");
        println!("left out: {self:?}, {kind:?}, a path of 108 bytes to bind or to reach: {WHY}");
    }
}

/// A peer that runs.
pub struct Process {
    peer: Peer,
    child: Child,
    lines: mpsc::Receiver<String>,
}

impl Process {
    /// Its number.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The next line is `line`.
    #[track_caller]
    pub fn says(&self, line: &str) {
        assert_eq!(self.line(), line);
    }

    /// The next line.
    #[track_caller]
    pub fn line(&self) -> String {
        match self.lines.recv_timeout(LONG / 2) {
            Ok(line) => line,
            Err(error) => panic!("the peer says nothing: {error}"),
        }
    }

    /// The next line tells `name` as `key`.
    #[track_caller]
    pub fn tells(&self, key: &str, name: &Name) {
        assert_eq!(self.line(), self.peer.told(key, name));
    }

    /// The next line says that it is ready, and its name; gives the name, settled.
    #[track_caller]
    pub fn is_ready_as(&self, name: Name) -> Name {
        let line = self.line();
        let bytes = line.rsplit(' ').next().and_then(unhex).unwrap_or_default();
        let sun_path = match self.peer {
            Peer::C => bytes.get(2..).unwrap_or_default(),
            Peer::Python => &bytes,
        };
        let name = name.settle(sun_path.strip_prefix(b"\0"));
        assert_eq!(line, self.peer.told("ready", &name));
        name
    }

    /// The next lines tell a sender and all its data.
    #[track_caller]
    pub fn received(&self, from: &Name, data: &[u8]) {
        self.tells("from", from);
        assert_eq!(self.line(), format!("data {}", hex(data)));
    }

    /// It ends well, and says no more.
    #[track_caller]
    pub fn ends(mut self) {
        let next = self.lines.recv_timeout(LONG / 2);
        assert_eq!(next, Err(mpsc::RecvTimeoutError::Disconnected));
        let status = self.child.wait().expect("a child to wait for");
        assert!(status.success(), "{status}");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Where the test failed it may still run; where not, this does nothing.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
