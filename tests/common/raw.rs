//! Plain libc calls: what the kernel says and takes with no library in between.

use std::io;

// Where the crate is built without std, its descriptors are not those of std.
use rustix::fd::{AsRawFd, FromRawFd, OwnedFd};

/// What the kernel wrote, in a buffer that it cannot fill, and the length that it reported.
pub struct Reply {
    pub bytes: [u8; 128],
    pub addr_len: usize,
}

impl Reply {
    /// What was reported, family first.
    pub fn reported(&self) -> &[u8] {
        &self.bytes[..self.addr_len]
    }

    /// The `sun_path` of a `sockaddr_un`, as libraries hold it.
    pub fn sun_path(&self) -> &[u8; 108] {
        self.bytes[2..110].try_into().unwrap()
    }
}

/// Has a call write an address into the first `room` bytes.
fn fill(
    room: usize,
    call: impl FnOnce(*mut libc::sockaddr, *mut libc::socklen_t) -> libc::ssize_t,
) -> Reply {
    // What the kernel does not write must not look like a NUL.
    let mut bytes = [0xee; 128];
    assert!(room <= bytes.len());
    let mut addr_len = room.try_into().unwrap();
    let result = call(bytes.as_mut_ptr().cast(), &mut addr_len);
    assert!(result >= 0, "{}", io::Error::last_os_error());
    Reply { bytes, addr_len: addr_len as usize }
}

pub fn getsockname(socket: &impl AsRawFd) -> Reply {
    getsockname_within(socket, 128)
}

/// [`getsockname`] into a smaller buffer.
pub fn getsockname_within(socket: &impl AsRawFd, room: usize) -> Reply {
    fill(room, |name, len| unsafe { libc::getsockname(socket.as_raw_fd(), name, len) }
        as libc::ssize_t)
}

/// Receives a message, for the sake of its sender.
pub fn sender(socket: &impl AsRawFd) -> Reply {
    let mut data = [0u8; 64];
    fill(128, |name, len| unsafe {
        libc::recvfrom(socket.as_raw_fd(), data.as_mut_ptr().cast(), data.len(), 0, name, len)
    })
}

/// Receives a message with `recvmsg`, for the sake of its sender.
pub fn message_sender(socket: &impl AsRawFd) -> Reply {
    let mut data = [0u8; 64];
    let mut iov = libc::iovec { iov_base: data.as_mut_ptr().cast(), iov_len: data.len() };
    fill(128, |name, len| unsafe {
        let mut header: libc::msghdr = std::mem::zeroed();
        (header.msg_name, header.msg_namelen) = (name.cast(), *len);
        (header.msg_iov, header.msg_iovlen) = (&mut iov, 1);
        let count = libc::recvmsg(socket.as_raw_fd(), &mut header, 0);
        *len = header.msg_namelen;
        count
    })
}

/// A socket of a type of libc's, without a name.
pub fn socket(kind: libc::c_int) -> OwnedFd {
    let fd = unsafe { libc::socket(libc::AF_UNIX, kind | libc::SOCK_CLOEXEC, 0) };
    assert!(fd >= 0, "{}", io::Error::last_os_error());
    unsafe { OwnedFd::from_raw_fd(fd) }
}

/// A `sockaddr_un` of these bytes, as many as there are.
pub fn sockaddr(sun_path: &[u8]) -> Vec<u8> {
    [&1u16.to_ne_bytes(), sun_path].concat()
}

fn outcome(result: libc::ssize_t) -> Result<usize, i32> {
    usize::try_from(result).map_err(|_| io::Error::last_os_error().raw_os_error().unwrap())
}

/// What a call is told of an address: where it is and how long it is said to be.
fn told(addr: &[u8], addr_len: usize) -> (*const libc::sockaddr, libc::socklen_t) {
    assert!(addr_len <= addr.len());
    (addr.as_ptr().cast(), addr_len.try_into().unwrap())
}

/// Binds to these bytes, no more and no fewer; the error is an errno.
pub fn bind(socket: &impl AsRawFd, sun_path: &[u8]) -> Result<(), i32> {
    let addr = sockaddr(sun_path);
    bind_told(socket, &addr, addr.len())
}

/// Binds to an address, family and all, that is said to be `addr_len` bytes long.
pub fn bind_told(socket: &impl AsRawFd, addr: &[u8], addr_len: usize) -> Result<(), i32> {
    let (addr, len) = told(addr, addr_len);
    outcome(unsafe { libc::bind(socket.as_raw_fd(), addr, len) } as libc::ssize_t).map(drop)
}

/// Connects to these bytes, no more and no fewer; the error is an errno.
pub fn connect(socket: &impl AsRawFd, sun_path: &[u8]) -> Result<(), i32> {
    let addr = sockaddr(sun_path);
    connect_told(socket, &addr, addr.len())
}

/// Connects to an address, family and all, that is said to be `addr_len` bytes long.
pub fn connect_told(socket: &impl AsRawFd, addr: &[u8], addr_len: usize) -> Result<(), i32> {
    let (addr, len) = told(addr, addr_len);
    outcome(unsafe { libc::connect(socket.as_raw_fd(), addr, len) } as libc::ssize_t).map(drop)
}

/// Sends one byte to an address, family and all, that is said to be `addr_len` bytes long.
pub fn send_told(socket: &impl AsRawFd, addr: &[u8], addr_len: usize) -> Result<usize, i32> {
    let (addr, len) = told(addr, addr_len);
    let data = b"x".as_ptr().cast();
    outcome(unsafe { libc::sendto(socket.as_raw_fd(), data, 1, libc::MSG_NOSIGNAL, addr, len) })
}

pub fn listen(socket: &impl AsRawFd) {
    outcome(unsafe { libc::listen(socket.as_raw_fd(), 8) } as libc::ssize_t).unwrap();
}
