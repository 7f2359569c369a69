//! `sendmsg` and `recvmsg` with nothing in between, and a second opinion on what they bring: a walk that
//! shares no line with the crate's own.

use std::os::raw::{c_int, c_long};
use std::ptr;

use afunix::{AsRawFd, Errno, FromRawFd, OwnedFd};

/// The size of a header, and what each begins at a multiple of.
pub const HEADER: usize = if WORD == 8 { 16 } else { 12 };
pub const WORD: usize = size_of::<usize>();

pub const RIGHTS: i32 = 1;
pub const CREDENTIALS: i32 = 2;
pub const PIDFD: i32 = 4;
/// Newer than libc's constants.
pub const SO_PASSPIDFD: i32 = 76;
pub const SO_PASSRIGHTS: i32 = 83;
pub const SO_INQ: i32 = 84;

/// What memory is filled with that the kernel might write to.
pub const FILL: u8 = 0xee;
/// How much of it there is behind each buffer.
const GUARD: usize = 64;

/// The kernel's `struct user_msghdr`: libc's own differs from one libc to the next, and some of them
/// change what is in it.
#[repr(C)]
struct Header {
    name: *mut u8,
    name_len: c_int,
    pieces: *mut libc::iovec,
    piece_count: usize,
    control: *mut u8,
    control_len: usize,
    flags: c_int,
}

fn call(
    number: c_long,
    socket: &impl AsRawFd,
    header: &mut Header,
    flags: i32,
) -> Result<usize, Errno> {
    // SAFETY: a header of which both callers take care.
    let result = unsafe { libc::syscall(number, socket.as_raw_fd(), ptr::from_mut(header), flags) };
    usize::try_from(result).map_err(|_| last_errno())
}

/// The errno of libc's last call.
pub fn last_errno() -> Errno {
    let errno = std::io::Error::last_os_error().raw_os_error();
    Errno::from_raw_os_error(errno.expect("a call that failed"))
}

/// Sends some bytes with a control buffer of just these bytes.
pub fn send(
    socket: &impl AsRawFd,
    data: &[u8],
    control: &[u8],
    flags: i32,
) -> Result<usize, Errno> {
    let mut piece = libc::iovec { iov_base: data.as_ptr().cast_mut().cast(), iov_len: data.len() };
    let mut header = Header {
        name: ptr::null_mut(),
        name_len: 0,
        pieces: &mut piece,
        piece_count: 1,
        control: control.as_ptr().cast_mut(),
        control_len: control.len(),
        flags: 0,
    };
    call(libc::SYS_sendmsg, socket, &mut header, flags | libc::MSG_NOSIGNAL)
}

/// A control message without padding.
pub fn message(kind: i32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = (HEADER + payload.len()).to_ne_bytes().to_vec();
    bytes.extend(libc::SOL_SOCKET.to_ne_bytes());
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(payload);
    bytes
}

/// Control messages one behind the other, the last without padding.
pub fn messages(all: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for one in all {
        bytes.resize(bytes.len().next_multiple_of(WORD), 0);
        bytes.extend(one);
    }
    bytes
}

/// `SCM_RIGHTS` of these numbers.
pub fn rights(numbers: &[i32]) -> Vec<u8> {
    message(RIGHTS, &numbers.iter().flat_map(|number| number.to_ne_bytes()).collect::<Vec<_>>())
}

/// A `struct ucred`.
pub fn ucred(pid: u32, uid: u32, gid: u32) -> Vec<u8> {
    [pid, uid, gid].iter().flat_map(|number| number.to_ne_bytes()).collect()
}

/// A control message that came.
#[derive(Debug)]
pub struct Message {
    pub level: i32,
    pub kind: i32,
    /// Where its header begins, and what that says of its length.
    pub at: usize,
    pub len: usize,
    pub payload: Vec<u8>,
}

/// What one receive brought. Its descriptors are closed on drop.
pub struct Reply {
    pub bytes: usize,
    pub flags: i32,
    pub control_len: usize,
    /// The control buffer, and some memory behind it.
    pub buffer: Vec<u8>,
    pub messages: Vec<Message>,
    pub fds: Vec<OwnedFd>,
    /// The pidfd, or the negative number in its place.
    pub pidfd: Option<Result<OwnedFd, i32>>,
}

impl Reply {
    pub fn is_truncated(&self) -> bool {
        self.flags & libc::MSG_CTRUNC != 0
    }

    /// The types of the messages, in order.
    pub fn kinds(&self) -> Vec<i32> {
        self.messages.iter().map(|message| message.kind).collect()
    }

    /// The payload of `SCM_CREDENTIALS`, cut or not.
    pub fn ucred(&self) -> Option<&[u8]> {
        let mut all = self.messages.iter();
        Some(&all.find(|message| message.kind == CREDENTIALS)?.payload)
    }
}

/// Receives with a control buffer of `room` bytes.
pub fn recv(
    socket: &impl AsRawFd,
    data: &mut [u8],
    room: usize,
    flags: i32,
) -> Result<Reply, Errno> {
    let mut buffer = vec![FILL; room + GUARD];
    let mut piece = libc::iovec { iov_base: data.as_mut_ptr().cast(), iov_len: data.len() };
    let mut header = Header {
        name: ptr::null_mut(),
        name_len: 0,
        pieces: &mut piece,
        piece_count: 1,
        control: buffer.as_mut_ptr(),
        control_len: room,
        flags: 0x5eed,
    };
    let result = call(libc::SYS_recvmsg, socket, &mut header, flags);
    if let Err(errno) = result {
        // See "On an error nothing is written" in `kernel.md`.
        assert_eq!((header.control_len, header.flags, header.name_len), (room, 0x5eed, 0));
        assert!(buffer.iter().all(|byte| *byte == FILL));
        return Err(errno);
    }
    let messages = walk(&buffer[..header.control_len]);
    let mut reply = Reply {
        bytes: result?,
        flags: header.flags,
        control_len: header.control_len,
        buffer,
        messages: Vec::new(),
        fds: Vec::new(),
        pidfd: None,
    };
    for message in &messages {
        let numbers = message.payload.chunks_exact(4).map(int);
        match message.kind {
            // SAFETY: the kernel has just installed them.
            RIGHTS => reply.fds.extend(numbers.map(|n| unsafe { OwnedFd::from_raw_fd(n) })),
            PIDFD => {
                // SAFETY: as above, if it is no negative number.
                let adopt =
                    |n: i32| if n < 0 { Err(n) } else { Ok(unsafe { OwnedFd::from_raw_fd(n) }) };
                reply.pidfd = numbers.map(adopt).next();
            }
            _ => {}
        }
    }
    reply.messages = messages;
    Ok(reply)
}

fn int(bytes: &[u8]) -> i32 {
    i32::from_ne_bytes(bytes.try_into().expect("4 bytes"))
}

/// The control messages in these bytes, which must be sound.
fn walk(bytes: &[u8]) -> Vec<Message> {
    let (mut all, mut at) = (Vec::new(), 0);
    while at + HEADER <= bytes.len() {
        let len = usize::from_ne_bytes(bytes[at..at + WORD].try_into().expect("a word"));
        let level = int(&bytes[at + WORD..at + WORD + 4]);
        let kind = int(&bytes[at + WORD + 4..at + HEADER]);
        assert!(len >= HEADER && at + len <= bytes.len(), "a length of {len} at {at}");
        let payload = bytes[at + HEADER..at + len].to_vec();
        all.push(Message { level, kind, at, len, payload });
        at += len.next_multiple_of(WORD);
    }
    all
}

/// Sets an option of `SOL_SOCKET` whose value is an `int`.
pub fn set(socket: &impl AsRawFd, option: i32, value: i32) -> Result<(), Errno> {
    // SAFETY: the option's value is a C `int`, whose size is passed.
    let done = unsafe {
        let value = (&raw const value).cast();
        libc::setsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, option, value, 4)
    };
    if done == 0 { Ok(()) } else { Err(last_errno()) }
}

/// Files that are open nowhere else, each different from the others.
pub fn files(count: usize) -> Vec<OwnedFd> {
    let file = |_| {
        // SAFETY: the name ends with a NUL.
        let fd = unsafe { libc::memfd_create(c"afunix".as_ptr(), libc::MFD_CLOEXEC) };
        assert!(fd >= 0, "{}", last_errno());
        // SAFETY: it is new.
        unsafe { OwnedFd::from_raw_fd(fd) }
    };
    (0..count).map(file).collect()
}

/// The number of a descriptor of this crate, where those of std are used too and may be the same.
pub fn number(fd: &impl AsRawFd) -> i32 {
    fd.as_raw_fd()
}

/// Which files these are open on.
pub fn inodes<'a, F: AsRawFd + 'a>(fds: impl IntoIterator<Item = &'a F>) -> Vec<u64> {
    fds.into_iter().map(|fd| crate::common::identity(fd).1).collect()
}

/// Whether the descriptor is closed when the process turns to another program.
pub fn is_close_on_exec(fd: &impl AsRawFd) -> bool {
    crate::common::identity(fd).2 & libc::FD_CLOEXEC != 0
}

/// The read end and the write end of a pipe.
pub fn pipe() -> (OwnedFd, OwnedFd) {
    let mut ends = [0; 2];
    // SAFETY: two numbers are written, of new descriptors.
    unsafe {
        assert_eq!(libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC), 0);
        (OwnedFd::from_raw_fd(ends[0]), OwnedFd::from_raw_fd(ends[1]))
    }
}

/// What `poll` says of a descriptor, without waiting.
pub fn poll(fd: &impl AsRawFd) -> i16 {
    let mut entry = libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: one entry.
    assert!(unsafe { libc::poll(&mut entry, 1, 0) } >= 0);
    entry.revents
}

/// Runs `body` in a process that is a copy of this one, with the calling thread alone, and waits for its
/// end. It may not start threads; if it panics, so does this. Gives its pid.
pub fn fork(body: impl FnOnce()) -> u32 {
    let (pid, code) = fork_code(|| {
        body();
        0
    });
    assert_eq!(code, 0, "the copy of this process failed");
    pid
}

/// [`fork`] with a body that chooses the exit code, which comes back too.
pub fn fork_code(body: impl FnOnce() -> i32) -> (u32, i32) {
    // SAFETY: the copy never goes back to the code that called.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        let code = std::panic::catch_unwind(std::panic::AssertUnwindSafe(body)).unwrap_or(101);
        // SAFETY: it does not return.
        unsafe { libc::_exit(code) }
    }
    assert!(pid > 0, "{}", last_errno());
    let mut status = 0;
    // SAFETY: the status is ours to write.
    assert_eq!(unsafe { libc::waitpid(pid, &mut status, 0) }, pid);
    assert!(libc::WIFEXITED(status), "status {status}");
    (pid.cast_unsigned(), libc::WEXITSTATUS(status))
}
