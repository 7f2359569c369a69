//! One sender: a thread, or this program started once more.

use std::io::{BufRead, BufReader, Write};
use std::os::fd::{AsRawFd as _, FromRawFd};
use std::process::{Child, ChildStderr, Stdio};
use std::time::Duration;

use afunix::{
    AncillaryBuf, BorrowedFd, Errno, IntoRawFd, IoSlice, OwnedFd, SendOptions, Space, UnixAddr,
};

use crate::common::emulated::program;
use crate::common::passes::Passes;
use crate::common::{finish, spawn};
use crate::ledger::{EACH, message, note};

/// The environment variable that makes a process a sender, and tells it which.
const MARK: &str = "AFUNIX_TRAFFIC_SENDER";

/// How a sender sends one message without anything else.
pub type Plain<T> = fn(&T, &[u8], Option<&UnixAddr>) -> Result<usize, Errno>;

/// What a sender is told.
#[derive(Clone, Copy)]
pub struct Role {
    /// It stands in each message.
    pub number: u8,
    /// Whether it waits for room, or is told `EAGAIN` and tries again.
    pub waits: bool,
    /// Whether it connects, where it has a socket of its own.
    pub connects: bool,
    /// The receiver's name, if it has a socket of its own. Else it is given one that others have too.
    pub to: Option<UnixAddr>,
}

impl Role {
    /// What this process is to be, if it was started as a sender.
    pub fn of_this_process() -> Option<Self> {
        let told = std::env::var(MARK).ok()?;
        let words: Vec<&str> = told.splitn(4, ' ').collect();
        let [number, waits, connects, to] = words[..] else { panic!("{told}") };
        Some(Self {
            number: number.parse().unwrap(),
            waits: waits.parse().unwrap(),
            connects: connects.parse().unwrap(),
            to: (!to.is_empty()).then(|| to.parse().unwrap()),
        })
    }

    /// Starts this program once more, as a sender. `test` is the full name of the test that is run
    /// there; `shared` is the socket that it is given.
    pub fn start(self, test: &str, shared: Option<&impl afunix::AsFd>) -> Process {
        let mut command = program(std::env::current_exe().expect("this very program"));
        command.args([test, "--exact", "--nocapture", "--test-threads=1"]);
        let to = self.to.map(|to| to.to_string()).unwrap_or_default();
        command.env(MARK, format!("{} {} {} {to}", self.number, self.waits, self.connects));
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        command.stdin(shared.map_or_else(Stdio::null, |socket| {
            let duplicate = rustix::io::fcntl_dupfd_cloexec(socket, 0).unwrap();
            // SAFETY: nobody else has it.
            Stdio::from(unsafe { std::os::fd::OwnedFd::from_raw_fd(duplicate.into_raw_fd()) })
        }));
        let mut child = spawn(&mut command).expect("a program that starts");
        let said = BufReader::new(child.stderr.take().expect("a pipe"));
        Process { child, said, role: self }
    }
}

/// The socket that a process was given.
pub fn given() -> OwnedFd {
    // SAFETY: it stays open as long as the process.
    let stdin = unsafe { BorrowedFd::borrow_raw(0) };
    rustix::io::fcntl_dupfd_cloexec(stdin, 3).unwrap()
}

/// A sender that is a process.
pub struct Process {
    child: Child,
    said: BufReader<ChildStderr>,
    pub role: Role,
}

impl Process {
    /// Reads to the first line that begins with `word`, and gives what stands behind it.
    fn says(&mut self, word: &str) -> String {
        let mut all = String::new();
        loop {
            let start = all.len();
            let count = self.said.read_line(&mut all).unwrap();
            assert!(count > 0, "the sender did not say {word}, but:\n{all}");
            if let Some(rest) = all[start..].strip_prefix(word) {
                return rest.trim().to_owned();
            }
        }
    }

    /// Waits until it was told once that there is no room.
    pub fn found_no_room(&mut self) {
        self.says("no room");
    }

    /// Waits for its end, and says how often there was no room.
    pub fn ends(mut self) -> usize {
        let refused = self.says("refused").parse().unwrap();
        crate::common::assert_success(&finish(self.child));
        refused
    }
}

/// A sender that runs.
pub struct Sender<T> {
    pub socket: T,
    pub role: Role,
    pub plain: Plain<T>,
}

impl<T: Passes> Sender<T> {
    /// Sends all of its messages in order, and says how often there was no room.
    pub fn run(&self, mut no_room: impl FnMut()) -> usize {
        let mut refused = 0;
        for number in 0..EACH {
            let message = message(self.role.number, number);
            let descriptor = note(self.role.number, number).map(|note| {
                let (reader, mut writer) = std::io::pipe().unwrap();
                writer.write_all(&note).unwrap();
                reader
            });
            loop {
                match self.send(&message, descriptor.as_ref()) {
                    Ok(count) => break assert_eq!(count, message.len()),
                    Err(Errno::AGAIN) if !self.role.waits => {
                        if refused == 0 {
                            no_room();
                        }
                        refused += 1;
                        std::thread::sleep(Duration::from_micros(300));
                    }
                    Err(error) => panic!("message {number}: {error}"),
                }
            }
        }
        refused
    }

    fn send(
        &self,
        message: &[u8],
        descriptor: Option<&std::io::PipeReader>,
    ) -> Result<usize, Errno> {
        let to = self.role.to.as_ref().filter(|_| !self.role.connects);
        // One that has no socket of its own must not change that of the others.
        let is_own = self.role.to.is_some();
        if descriptor.is_none() && (is_own || self.role.waits) {
            return (self.plain)(&self.socket, message, to);
        }
        let mut options = SendOptions::new();
        if let Some(to) = to {
            options = options.to(to);
        }
        if !self.role.waits && !is_own {
            options = options.nonblocking();
        }
        let mut control = AncillaryBuf::<{ Space::new().rights::<1>().bytes() }>::new();
        let mut writer = control.writer();
        if let Some(descriptor) = descriptor {
            // SAFETY: it is open as long as its owner, the argument.
            let lent = unsafe { BorrowedFd::borrow_raw(descriptor.as_raw_fd()) };
            writer.push_fds(&[lent]).unwrap();
        }
        let sent = self.socket.send_with(&[IoSlice::new(message)], &writer, options);
        sent.map(|sent| sent.bytes).map_err(|error| error.errno())
    }

    /// [`run`](Self::run) in a process of its own, which tells the one that started it; does not come
    /// back.
    pub fn run_as_process(&self) -> ! {
        let refused = self.run(|| eprintln!("\nno room"));
        eprintln!("\nrefused {refused}");
        // SAFETY: it takes a number, and does not come back.
        unsafe { libc::_exit(0) }
    }
}
