//! The checker: what is open before and after, and where the descriptors are that were sent.

use std::fs;
use std::io;
use std::path::PathBuf;

use afunix::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use crate::common::{open_fds, passes_in_child};
use crate::ways::Passing;

/// A descriptor by its number and what it is open on.
pub type Open = (i32, PathBuf);

/// What a scenario has done to the descriptors of this process.
#[derive(Debug, Default, Eq, PartialEq)]
pub struct Change {
    pub leaked: Vec<Open>,
    pub lost: Vec<Open>,
}

/// Runs `body`, and says what it left open and what it closed that was not its own.
pub fn change(body: impl FnOnce()) -> Change {
    let before = open_fds();
    body();
    let after = open_fds();
    Change {
        leaked: after.iter().filter(|fd| !before.contains(fd)).cloned().collect(),
        lost: before.into_iter().filter(|fd| !after.contains(fd)).collect(),
    }
}

/// How many descriptors are open: quicker than to ask what they are, where that is asked often.
pub fn open_count() -> usize {
    // The folder itself is open as well, while it is listed.
    fs::read_dir("/proc/self/fd").unwrap().count() - 1
}

/// Runs `body` in a child, where it must leave the descriptors as they were. That the check sees a
/// leak and a loss is tried first, in that same child.
#[track_caller]
pub fn leaves_nothing(test: &str, body: impl FnOnce()) {
    passes_in_child(test, || {
        allow_many();
        let mut planted = None;
        let leak = change(|| planted = Some(null()));
        assert_eq!((leak.leaked.len(), leak.lost.len()), (1, 0), "{leak:?}");
        let loss = change(|| drop(planted.take()));
        assert_eq!((loss.leaked.len(), loss.lost.len()), (0, 1), "{loss:?}");
        assert_eq!(change(body), Change::default());
    });
}

/// A user who is not root may have as many descriptors in flight as open, all processes together:
/// see "Too many in flight" in `kernel.md`. The tests that run beside this one count.
fn allow_many() {
    let mut limit = limit();
    limit.rlim_cur = limit.rlim_max.min(65536);
    set_limit(limit);
}

fn limit() -> libc::rlimit {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the limit is ours to write.
    assert_eq!(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) }, 0);
    limit
}

fn set_limit(limit: libc::rlimit) {
    // SAFETY: the limit is ours to read.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) }, 0);
}

/// Any open file.
pub fn null() -> OwnedFd {
    // SAFETY: a path that ends, and a descriptor that is nobody else's.
    unsafe {
        let fd = libc::open(c"/dev/null".as_ptr(), libc::O_RDONLY | libc::O_CLOEXEC);
        assert!(fd >= 0, "{}", io::Error::last_os_error());
        OwnedFd::from_raw_fd(fd)
    }
}

/// Makes a call when just `left` more descriptors may be opened.
pub fn with_left<R>(left: libc::rlim_t, call: impl FnOnce() -> R) -> R {
    // Every number up to the highest one in use is taken first: a gap would be room for one more.
    let highest = open_fds().last().map_or(2, |(fd, _)| *fd);
    let mut fillers = vec![null()];
    while fillers.last().is_some_and(|filler| filler.as_raw_fd() < highest) {
        fillers.push(null());
    }
    let first_free = fillers.last().map_or(0, |filler| filler.as_raw_fd() + 1);
    let before = limit();
    let rlim_cur = libc::rlim_t::try_from(first_free).unwrap() + left;
    set_limit(libc::rlimit { rlim_cur, ..before });
    let answer = call();
    set_limit(before);
    answer
}

/// A pipe, whose write end is sent any number of times. Its read end tells when nobody has the write
/// end any more, neither this process nor a queue.
pub struct Parcel {
    witness: OwnedFd,
    own: Option<OwnedFd>,
}

impl Parcel {
    pub fn new() -> Self {
        let mut ends = [0; 2];
        // SAFETY: there is room for two; and both are open and nobody else's.
        let [witness, own] = unsafe {
            let result = libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC);
            assert_eq!(result, 0, "{}", io::Error::last_os_error());
            ends.map(|end| OwnedFd::from_raw_fd(end))
        };
        Self { witness, own: Some(own) }
    }

    /// A parcel that was sent so many times, and is now nowhere but in the queue.
    #[track_caller]
    pub fn sent(socket: &impl Passing, data: &[u8], count: usize) -> Self {
        let mut parcel = Self::new();
        let sent = socket.send_fds(data, &parcel.times(count)).unwrap();
        assert_eq!(sent.bytes, data.len());
        parcel.release();
        assert_eq!(parcel.is_gone(), count == 0);
        parcel
    }

    pub fn times(&self, count: usize) -> Vec<BorrowedFd<'_>> {
        vec![self.own.as_ref().expect("not released yet").as_fd(); count]
    }

    /// Closes the sender's own.
    pub fn release(&mut self) {
        drop(self.own.take());
    }

    /// How many descriptors of the write end this process has, the sender's own among them.
    pub fn held(&self) -> usize {
        let pipe = fs::read_link(format!("/proc/self/fd/{}", self.witness.as_raw_fd())).unwrap();
        let both_ends = open_fds().iter().filter(|(_, file)| *file == pipe).count();
        both_ends - 1
    }

    /// Whether nobody has the write end.
    pub fn is_gone(&self) -> bool {
        let mut poll = libc::pollfd { fd: self.witness.as_raw_fd(), events: 0, revents: 0 };
        // SAFETY: one structure, which is ours to write.
        assert!(unsafe { libc::poll(&mut poll, 1, 0) } >= 0);
        poll.revents & libc::POLLHUP != 0
    }

    /// Fails if anybody still has a write end, and says who.
    #[track_caller]
    pub fn assert_gone(&self) {
        assert_eq!(self.held(), 0, "this process has it");
        assert!(self.is_gone(), "a queue has it");
    }
}

/// Makes a test of each function for each type, by its methods and by the free functions.
macro_rules! leak_tests {
    ($($name:ident)+) => {
        $(leak_tests!($name: stream UnixStream, datagram UnixDatagram, seqpacket UnixSeqpacket);)+
    };
    ($name:ident: $($test:ident $Type:ident),+) => {
        mod $name {
            $(
                #[test]
                fn $test() {
                    let _watchdog = crate::common::Watchdog::new();
                    let test = concat!(module_path!(), "::", stringify!($test));
                    // The harness leaves out the crate.
                    let (_, test) = test.split_once("::").unwrap();
                    crate::check::leaves_nothing(test, || {
                        super::$name::<afunix::$Type>();
                        super::$name::<crate::ways::Free<afunix::$Type>>();
                    });
                }
            )+
        }
    };
}
