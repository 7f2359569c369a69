//! Control messages as the kernel gives them, read by hand: what libraries have before they make
//! something of it. Descriptors are numbers here, which nobody owns.

use std::io;
use std::ptr::from_mut;

use afunix::{
    Ancillary, AncillaryBuf, AsFd, AsRawFd, BorrowedFd, IoSliceMut, OwnedFd, RecvError, RecvOptions,
};
use rustix::fd::FromRawFd;

use crate::common::LONG;

/// The size of a header, and of what messages begin at multiples of.
pub const HEADER: usize = WORD + 8;
pub const WORD: usize = size_of::<usize>();

/// What one call received.
pub struct Raw {
    pub data: Vec<u8>,
    pub flags: libc::c_int,
    /// As much as the kernel says that there is.
    pub control: Vec<u8>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Message {
    pub kind: i32,
    pub payload: Vec<u8>,
}

/// A pointer to it and its length are what the kernel wants.
fn header(piece: &mut libc::iovec, control: &mut [u64], room: usize) -> libc::msghdr {
    assert!(room <= size_of_val(control));
    // SAFETY: zeros are a value of it.
    let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
    (header.msg_iov, header.msg_iovlen) = (from_mut(piece), 1);
    // Their types differ from one libc to the next.
    (header.msg_control, header.msg_controllen) = (control.as_mut_ptr().cast(), room as _);
    header
}

/// Receives at most `room` bytes of data, and control messages into `control_room` bytes.
pub fn receive(socket: &impl AsRawFd, room: usize, control_room: usize, flags: libc::c_int) -> Raw {
    let mut data = vec![0_u8; room];
    // Padding, which the kernel does not write, is 0.
    let mut control = vec![0_u64; control_room.div_ceil(8)];
    let mut piece = libc::iovec { iov_base: data.as_mut_ptr().cast(), iov_len: room };
    let mut header = header(&mut piece, &mut control, control_room);
    // SAFETY: both buffers are as long as the header says.
    let count = unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut header, flags) };
    data.truncate(usize::try_from(count).unwrap_or_else(|_| panic!("{}", last_error())));
    let bytes = control.iter().flat_map(|word| word.to_ne_bytes());
    // See `header`.
    #[allow(clippy::unnecessary_cast)]
    let control = bytes.take(header.msg_controllen as usize).collect();
    Raw { data, flags: header.msg_flags, control }
}

/// Sends one byte with a descriptor; no flag is set.
pub fn send(socket: &impl AsRawFd, fd: BorrowedFd<'_>) -> libc::ssize_t {
    let bytes = [
        &(HEADER + 4).to_ne_bytes()[..],
        &libc::SOL_SOCKET.to_ne_bytes(),
        &libc::SCM_RIGHTS.to_ne_bytes(),
        &fd.as_raw_fd().to_ne_bytes(),
        &[0; 4],
    ]
    .concat();
    let words = bytes.chunks_exact(8).map(|word| u64::from_ne_bytes(word.try_into().unwrap()));
    let mut control: Vec<u64> = words.collect();
    let mut byte = 0_u8;
    let mut piece = libc::iovec { iov_base: (&raw mut byte).cast(), iov_len: 1 };
    let header = header(&mut piece, &mut control, HEADER + 4);
    // SAFETY: both buffers are as long as the header says.
    unsafe { libc::sendmsg(socket.as_raw_fd(), &raw const header, 0) }
}

fn last_error() -> io::Error {
    io::Error::last_os_error()
}

/// How to get from one message to the next.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Walk {
    /// A message ends where its length says, and the next begins at a multiple of a word.
    Right,
    /// The next begins right where one ends.
    Unaligned,
    /// What is left over when the padding of the last message does not fit is not looked at.
    WholeWords,
}

/// All messages that are found in this way.
pub fn messages(control: &[u8], walk: Walk) -> Vec<Message> {
    let (mut found, mut start) = (Vec::new(), 0);
    while let Some(message) = control.get(start..).filter(|rest| rest.len() >= HEADER) {
        let int = |at: usize| i32::from_ne_bytes(message[at..at + 4].try_into().unwrap());
        let len = usize::from_ne_bytes(message[..WORD].try_into().unwrap());
        let padded = len.saturating_add(WORD - 1) / WORD * WORD;
        let needed = if walk == Walk::WholeWords { padded } else { len };
        if len < HEADER || needed > message.len() {
            break;
        }
        assert_eq!(int(WORD), libc::SOL_SOCKET);
        found.push(Message { kind: int(WORD + 4), payload: message[HEADER..len].to_vec() });
        start += if walk == Walk::Unaligned { len } else { padded };
    }
    found
}

/// The numbers in messages of descriptors.
pub fn rights(messages: &[Message]) -> Vec<i32> {
    let rights = messages.iter().filter(|message| message.kind == libc::SCM_RIGHTS);
    rights.flat_map(|message| ints(&message.payload)).collect()
}

pub fn ints(payload: &[u8]) -> Vec<i32> {
    payload.chunks_exact(4).map(|int| i32::from_ne_bytes(int.try_into().unwrap())).collect()
}

/// Closes what a control left open.
pub fn close(fds: &[i32]) {
    for fd in fds {
        // SAFETY: a control received it, and made nothing else of it.
        assert_eq!(unsafe { libc::close(*fd) }, 0, "{fd}: {}", last_error());
    }
}

pub fn is_cloexec(fd: i32) -> bool {
    // SAFETY: a number alone.
    let flags = unsafe { libc::fcntl(fd, libc::F_GETFD) };
    assert!(flags >= 0, "{fd}: {}", last_error());
    flags & libc::FD_CLOEXEC != 0
}

/// Something to send, whose duplicates can be watched from outside: the end of a pipe that is written
/// to. The other end tells when the last is closed, so no descriptors need be counted, which other
/// tests open and close all the time.
pub struct Token {
    watch: OwnedFd,
    sent: Option<OwnedFd>,
}

impl Token {
    pub fn new() -> Self {
        let mut fds = [0; 2];
        // SAFETY: there is room for two numbers, and then nobody else has them.
        let [watch, sent] = unsafe {
            assert_eq!(libc::pipe2(fds.as_mut_ptr(), libc::O_CLOEXEC), 0, "{}", last_error());
            fds.map(|fd| OwnedFd::from_raw_fd(fd))
        };
        Self { watch, sent: Some(sent) }
    }

    pub fn fd(&self) -> BorrowedFd<'_> {
        self.sent.as_ref().expect("a token that was not watched yet").as_fd()
    }

    fn all_closed_within(&mut self, milliseconds: libc::c_int) -> bool {
        self.sent = None;
        let mut poll = libc::pollfd { fd: self.watch.as_raw_fd(), events: 0, revents: 0 };
        // SAFETY: one `pollfd`.
        let count = unsafe { libc::poll(&raw mut poll, 1, milliseconds) };
        assert!(count >= 0, "{}", last_error());
        poll.revents & libc::POLLHUP != 0
    }

    /// Closes the original; panics if a duplicate is left.
    #[track_caller]
    pub fn assert_all_closed(&mut self) {
        // A process that another test is just starting may have them all for a moment.
        let milliseconds = libc::c_int::try_from(LONG.as_millis()).unwrap() / 3;
        assert!(self.all_closed_within(milliseconds), "a descriptor was left open");
    }

    /// Closes the original; panics unless a duplicate is left.
    #[track_caller]
    pub fn assert_held(&mut self) {
        assert!(!self.all_closed_within(0), "no descriptor was left open");
    }
}

/// Receives a message with its control messages.
pub fn recv<'b, const N: usize>(
    socket: &impl AsFd,
    control: &'b mut AncillaryBuf<N>,
) -> Result<Ancillary<'b>, RecvError> {
    recv_as(socket, control, RecvOptions::new())
}

/// [`recv`] in some other way.
pub fn recv_as<'b, const N: usize>(
    socket: &impl AsFd,
    control: &'b mut AncillaryBuf<N>,
    options: RecvOptions<'_>,
) -> Result<Ancillary<'b>, RecvError> {
    let mut data = [0; 16];
    let pieces = &mut [IoSliceMut::new(&mut data)];
    afunix::recv_with(socket, pieces, control, options).map(|(_, ancillary)| ancillary)
}
