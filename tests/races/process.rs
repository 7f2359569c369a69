//! Other processes, which end with the test at the latest, and what they say.

use std::io::{PipeReader, PipeWriter, Read, Write};
use std::ops::Index;
use std::os::fd::AsRawFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::AtomicU32;
use std::time::Duration;

/// How long a process may take to say what it has to say. The whole test may not take longer either.
pub const PATIENCE: Duration = Duration::from_secs(14);

/// A copy of this process that does something else. Dropping it kills it.
pub struct Process {
    pid: libc::pid_t,
    reaped: bool,
}

/// How a process ended: with this code, or by this signal.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum End {
    Code(i32),
    Signal(i32),
}

impl End {
    /// Of a status of `waitpid` that is not of a stop.
    pub fn of(status: i32) -> Self {
        if libc::WIFSIGNALED(status) {
            Self::Signal(libc::WTERMSIG(status))
        } else {
            Self::Code(libc::WEXITSTATUS(status))
        }
    }
}

impl Process {
    /// Starts one that ends with the code that `body` gives; with 101 if it panics.
    ///
    /// It is for a test in a child process, which has one thread.
    pub fn start(body: impl FnOnce() -> u8) -> Self {
        // SAFETY: the copy has the one thread that there was, and so finds every lock as that left it.
        let pid = unsafe { libc::fork() };
        assert!(pid >= 0, "{}", std::io::Error::last_os_error());
        if pid == 0 {
            // SAFETY: numbers alone.
            unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
            let code = catch_unwind(AssertUnwindSafe(body)).unwrap_or(101);
            // SAFETY: a number, and it does not come back: nothing of the parent's is dropped here.
            unsafe { libc::_exit(code.into()) };
        }
        Self { pid, reaped: false }
    }

    pub fn pid(&self) -> libc::pid_t {
        self.pid
    }

    /// Takes note of an end that was seen elsewhere.
    pub fn has_ended(&mut self) {
        self.reaped = true;
    }

    /// Waits for its end.
    pub fn wait(mut self) -> End {
        self.reap()
    }

    /// Kills it, unless it has ended, and waits until nothing is left of it.
    pub fn kill(mut self) -> End {
        self.send_kill();
        self.reap()
    }

    fn send_kill(&self) {
        assert!(!self.reaped);
        // SAFETY: numbers alone; the process is not reaped, so the number is its own.
        assert_eq!(unsafe { libc::kill(self.pid, libc::SIGKILL) }, 0);
    }

    fn reap(&mut self) -> End {
        loop {
            let mut status = 0;
            // SAFETY: it writes the status.
            let pid = unsafe { libc::waitpid(self.pid, &mut status, libc::__WALL) };
            assert_eq!(pid, self.pid, "{}", std::io::Error::last_os_error());
            // One that is traced may be seen to stop first.
            if !libc::WIFSTOPPED(status) {
                self.reaped = true;
                return End::of(status);
            }
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if !self.reaped {
            self.send_kill();
            self.reap();
        }
    }
}

/// Bytes from one process to another.
pub struct Pipe {
    pub reader: PipeReader,
    pub writer: PipeWriter,
}

impl Pipe {
    pub fn new() -> Self {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        Self { reader, writer }
    }

    /// Says something, whole and at once.
    pub fn say(&self, bytes: &[u8]) {
        (&self.writer).write_all(bytes).expect("a pipe that is read");
    }

    /// Waits for so many bytes.
    #[track_caller]
    pub fn hear<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        for at in 0..N {
            assert!(is_readable(self.reader.as_raw_fd(), PATIENCE), "nobody says anything");
            (&self.reader).read_exact(&mut bytes[at..=at]).expect("a byte that is there");
        }
        bytes
    }
}

/// Whether there is something to read, or comes within this time.
pub fn is_readable(fd: i32, within: Duration) -> bool {
    which_is_readable([fd], within) != [false]
}

/// Which of them have something to read: as soon as one has, or once the time is over none. What is
/// negative never has.
pub fn which_is_readable<const N: usize>(fds: [i32; N], within: Duration) -> [bool; N] {
    let mut polled = fds.map(|fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 });
    let timeout = within.as_millis().try_into().unwrap();
    // SAFETY: there are as many as said.
    let count = unsafe { libc::poll(polled.as_mut_ptr(), N.try_into().unwrap(), timeout) };
    assert!(count >= 0, "{}", std::io::Error::last_os_error());
    polled.map(|polled| polled.revents != 0)
}

/// Numbers that all processes see that are started from here on.
#[derive(Clone, Copy)]
pub struct Shared(&'static [AtomicU32; 64]);

impl Shared {
    /// All are 0. They stay as long as the process.
    pub fn new() -> Self {
        let len = size_of::<[AtomicU32; 64]>();
        let (access, kind) =
            (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_ANONYMOUS);
        // SAFETY: a mapping of its own, which is never taken away.
        let place = unsafe { libc::mmap(std::ptr::null_mut(), len, access, kind, -1, 0) };
        assert_ne!(place, libc::MAP_FAILED, "{}", std::io::Error::last_os_error());
        // SAFETY: it is as long, begins with a page, and zeros are a value of it.
        Self(unsafe { &*place.cast() })
    }
}

impl Index<usize> for Shared {
    type Output = AtomicU32;

    fn index(&self, at: usize) -> &AtomicU32 {
        &self.0[at]
    }
}
