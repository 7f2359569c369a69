//! What processes say to each other.

use std::io::{PipeReader, PipeWriter, Read, Write};
use std::os::fd::AsRawFd;
use std::time::Duration;

/// How long a process may take to say what it has to say. The whole test may not take longer either.
pub const PATIENCE: Duration = Duration::from_secs(14);

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
