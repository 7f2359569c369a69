//! Receiving what a hostile peer sends, from the kernel itself.

mod receiver;

use std::mem;
use std::sync::LazyLock;

use afunix::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd, set_passcred, set_passpidfd};

use super::libc_walk::{HEADER, walk};
use receiver::{Batch, Receiver};

/// Files that can be told apart, to be sent.
pub fn pool() -> &'static [OwnedFd; 4] {
    static POOL: LazyLock<[OwnedFd; 4]> = LazyLock::new(|| {
        [(); 4].map(|()| {
            // SAFETY: the name is a C string.
            let raw = unsafe { libc::memfd_create(c"pool".as_ptr(), libc::MFD_CLOEXEC) };
            assert!(raw >= 0, "no file to send: {}", std::io::Error::last_os_error());
            // SAFETY: a new descriptor that only we know of.
            unsafe { OwnedFd::from_raw_fd(raw) }
        })
    });
    &POOL
}

/// How many descriptors this process has open, among the numbers that one input can reach.
fn open_fds() -> usize {
    let mut fds: [_; 700] =
        std::array::from_fn(|fd| libc::pollfd { fd: fd as RawFd, events: 0, revents: 0 });
    // SAFETY: they are as many as is said.
    let found = unsafe { libc::poll(fds.as_mut_ptr(), fds.len() as libc::nfds_t, 0) };
    assert!(found >= 0, "{}", std::io::Error::last_os_error());
    fds.iter().filter(|fd| fd.revents & libc::POLLNVAL == 0).count()
}

/// The file that a descriptor is open on; it must close on exec.
fn inode(fd: BorrowedFd<'_>) -> u64 {
    // SAFETY: all zeros are a `stat`.
    let mut stat: libc::stat = unsafe { mem::zeroed() };
    // SAFETY: `stat` is one.
    assert_eq!(unsafe { libc::fstat(fd.as_raw_fd(), &mut stat) }, 0);
    // SAFETY: the command takes no argument.
    let flags = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFD) };
    assert_eq!(flags, libc::FD_CLOEXEC, "it would live on in children");
    // Its width differs from one architecture to the next.
    #[allow(clippy::unnecessary_cast)]
    let inode = stat.st_ino as u64;
    inode
}

/// What is done with the `n`th descriptor that came: it is given back to be closed.
pub type Keep = fn(usize, OwnedFd) -> Option<OwnedFd>;

/// What the input asks for; the rest of it is the control messages of one send or two.
///
/// Numbers in those are replaced, for a fuzzer does not guess them: in `SCM_RIGHTS` all but what ends
/// in 0xff by one of six descriptors, in `SCM_CREDENTIALS` 42 by our own process and ids.
struct Script<'a> {
    /// 2 bits of type, then: credentials, pidfds, the sender's credentials, lossy, the end, bytes left.
    flags: u8,
    /// How to receive, and how much to take out of what came.
    way: u8,
    sent: u8,
    room: u8,
    /// Of 4 one asks for a limit to descriptors.
    limit: u8,
    first: &'a [u8],
    second: &'a [u8],
}

impl<'a> Script<'a> {
    fn parse(data: &'a [u8]) -> Option<Self> {
        let [flags, way, sent, room, limit, split, control @ ..] = data else { return None };
        let split = match *split {
            u8::MAX => control.len(),
            split => control.len().min(usize::from(split) * 4),
        };
        let (first, second) = control.split_at(split);
        Some(Self {
            flags: *flags,
            way: *way,
            sent: *sent,
            room: *room,
            limit: *limit,
            first,
            second,
        })
    }

    fn has(&self, bit: u8) -> bool {
        self.flags & 1 << bit != 0
    }

    fn is_stream(&self) -> bool {
        !matches!(self.flags & 3, 1 | 2)
    }
}

pub fn run(data: &[u8], keep: Keep) {
    let Some(script) = Script::parse(data) else { return };
    pool();
    let before = open_fds();
    exchange(&script, keep);
    assert_eq!(open_fds(), before, "descriptors are left over, or closed that were not ours");
}

fn exchange(script: &Script<'_>, keep: Keep) {
    let kind = match script.flags & 3 {
        1 => libc::SOCK_DGRAM,
        2 => libc::SOCK_SEQPACKET,
        _ => libc::SOCK_STREAM,
    };
    let (a, b) = pair(kind);
    let has_pidfds = script.has(3) && set_passpidfd(&b, true).is_ok();
    set_passcred(&b, script.has(2)).expect("a socket");
    set_passcred(&a, script.has(4)).expect("a socket");
    let has_inq = script.has(7) && set_inq(&b);

    let mut batches = Vec::new();
    let mut start = 0;
    for control in [script.first, script.second] {
        let mut control = control.to_vec();
        let files = patch(&mut control, &a, &b);
        let Some(len) = send(&a, usize::from(script.sent), &control) else { continue };
        if len > 0 || !script.is_stream() {
            batches.push(Batch { start, len, files });
        }
        start += len;
        if script.second.is_empty() {
            break;
        }
    }
    let mut a = Some(a);
    if script.has(6) {
        a = None;
    }
    let limit =
        (script.limit & 3 == 3).then(|| Limit::new(libc::rlim_t::from(script.limit >> 2) % 8));
    let is_limited = limit.is_some();
    let mut receiver =
        Receiver { script, keep, socket: b, batches, position: 0, has_pidfds, has_inq, is_limited };
    for _ in 0..5 {
        if !receiver.receive() {
            break;
        }
    }
    drop(limit);
    drop(a);
}

fn pair(kind: libc::c_int) -> (OwnedFd, OwnedFd) {
    let mut fds = [-1; 2];
    let kind = kind | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    // SAFETY: two numbers may be written.
    let done = unsafe { libc::socketpair(libc::AF_UNIX, kind, 0, fds.as_mut_ptr()) };
    assert_eq!(done, 0, "{}", std::io::Error::last_os_error());
    // SAFETY: new descriptors that only we know of.
    let [a, b] = fds.map(|raw| unsafe { OwnedFd::from_raw_fd(raw) });
    (a, b)
}

fn set_inq(socket: &OwnedFd) -> bool {
    const SO_INQ: libc::c_int = 84;
    let on: libc::c_int = 1;
    // SAFETY: an `int`, as long as one.
    let done = unsafe {
        let (on, len) = ((&raw const on).cast(), size_of_val(&on) as libc::socklen_t);
        libc::setsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, SO_INQ, on, len)
    };
    done == 0
}

/// Replaces numbers; gives the files of all descriptors in order.
fn patch(control: &mut [u8], a: &OwnedFd, b: &OwnedFd) -> Vec<u64> {
    let mut found = Vec::new();
    walk(control, &mut |message| found.push(message));
    let mut files = Vec::new();
    let fds: Vec<BorrowedFd<'_>> = pool().iter().chain([a, b]).map(AsFd::as_fd).collect();
    for message in found {
        let end = message.at.saturating_add(message.len).min(control.len());
        let payload = control.get_mut(message.at + HEADER..end).unwrap_or_default();
        match (message.level, message.kind) {
            (libc::SOL_SOCKET, libc::SCM_RIGHTS) => {
                for slot in payload.chunks_exact_mut(4).filter(|slot| slot[0] != 0xff) {
                    let fd = fds[usize::from(slot[0]) % fds.len()];
                    slot.copy_from_slice(&fd.as_raw_fd().to_ne_bytes());
                    files.push(inode(fd));
                }
            }
            (libc::SOL_SOCKET, libc::SCM_CREDENTIALS) => {
                // SAFETY: these calls take and give numbers alone.
                let ids = unsafe { [libc::getpid() as u32, libc::getuid(), libc::getgid()] };
                for (slot, id) in payload.chunks_exact_mut(4).zip(ids) {
                    if *slot == 42i32.to_ne_bytes() {
                        slot.copy_from_slice(&id.to_ne_bytes());
                    }
                }
            }
            _ => {}
        }
    }
    files
}

/// Sends; gives how much of the data went, or `None`.
fn send(socket: &OwnedFd, len: usize, control: &[u8]) -> Option<usize> {
    let data = [0x5a_u8; 255];
    let mut piece = libc::iovec { iov_base: data.as_ptr().cast_mut().cast(), iov_len: len };
    // SAFETY: all zeros are a header of nothing.
    let mut message: libc::msghdr = unsafe { mem::zeroed() };
    message.msg_iov = &raw mut piece;
    message.msg_iovlen = 1;
    message.msg_control = control.as_ptr().cast_mut().cast();
    message.msg_controllen = control.len() as _;
    // SAFETY: the data, which has 255 bytes, and the control buffer are as long as it says.
    let sent = unsafe { libc::sendmsg(socket.as_raw_fd(), &raw const message, libc::MSG_NOSIGNAL) };
    usize::try_from(sent).ok()
}

/// Keeps this process from opening more descriptors than a few, for as long as it lives.
struct Limit(libc::rlimit);

impl Limit {
    fn new(free: libc::rlim_t) -> Self {
        // SAFETY: the command takes and gives numbers alone.
        let lowest = unsafe { libc::fcntl(pool()[0].as_raw_fd(), libc::F_DUPFD_CLOEXEC, 0) };
        assert!(lowest >= 0, "{}", std::io::Error::last_os_error());
        // SAFETY: a new descriptor that only we know of.
        drop(unsafe { OwnedFd::from_raw_fd(lowest) });
        let mut old = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: it may be written.
        assert_eq!(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut old) }, 0);
        let new = libc::rlimit { rlim_cur: lowest as libc::rlim_t + free, ..old };
        // SAFETY: it can be read.
        assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &new) }, 0);
        Self(old)
    }
}

impl Drop for Limit {
    fn drop(&mut self) {
        // SAFETY: it can be read.
        assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &self.0) }, 0);
    }
}
