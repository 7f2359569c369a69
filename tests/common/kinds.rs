//! The five types behind traits, so that one test can ask each of them the same question.

use std::fmt::Debug;

use afunix::{
    AdoptError, Errno, ListenError, OwnedFd, Received, Shutdown, UnixAddr, UnixDatagram,
    UnixListener, UnixSeqpacket, UnixSeqpacketListener, UnixStream,
};
use rustix::fd::{AsFd, AsRawFd};

/// What all five can do.
pub trait Socket:
    AsFd + AsRawFd + Debug + Into<OwnedFd> + Send + Sized + Sync + TryFrom<OwnedFd, Error = AdoptError>
{
    const TYPE: i32;
    const LISTENS: bool;

    /// A socket that was just made: without a name, or for a listener with one from the kernel.
    fn fresh() -> Self;
    fn from_fd_unchecked(fd: OwnedFd) -> Self;
    fn bind(addr: &UnixAddr) -> Result<Self, Errno>;
    fn autobind() -> Result<(Self, UnixAddr), Errno>;
    fn local_addr(&self) -> Result<UnixAddr, Errno>;
    fn local_addr_into(&self, name: &mut UnixAddr) -> Result<(), Errno>;
    fn set_nonblocking(&self, nonblocking: bool) -> Result<(), Errno>;
    fn take_error(&self) -> Result<Option<Errno>, Errno>;
    fn shutdown(&self, how: Shutdown) -> Result<(), Errno>;
}

/// What the three that carry data can do.
pub trait Data: Socket {
    fn pair() -> Result<(Self, Self), Errno>;
    fn unbound() -> Result<Self, Errno>;
    fn bind_to(&self, addr: &UnixAddr) -> Result<(), Errno>;
    fn connect_to(&self, addr: &UnixAddr) -> Result<(), Errno>;
    fn connect_from_to(from: &UnixAddr, to: &UnixAddr) -> Result<Self, Errno>;
    fn peer_addr(&self) -> Result<UnixAddr, Errno>;
    fn peer_addr_into(&self, name: &mut UnixAddr) -> Result<(), Errno>;
    /// `write` or `send`.
    fn put(&self, bytes: &[u8]) -> Result<usize, Errno>;
    /// `read` or `recv`: how many bytes are in the buffer.
    fn get(&self, buf: &mut [u8]) -> Result<usize, Errno>;

    /// A socket that others can connect to at `addr`, whatever that takes for the type.
    fn serve(addr: &UnixAddr) -> Result<OwnedFd, Errno>;
}

/// What the two that keep the bounds of messages can do.
pub trait Messages: Data {
    fn send(&self, message: &[u8]) -> Result<usize, Errno>;
    fn recv(&self, buf: &mut [u8]) -> Result<Received, Errno>;
}

/// What the two that connect can do.
pub trait Connects: Data {
    type Listener: Listens<Connection = Self>;

    fn connect(addr: &UnixAddr) -> Result<Self, Errno>;
    fn listen(self, backlog: i32) -> Result<Self::Listener, ListenError<Self>>;
}

/// What the two that listen can do.
pub trait Listens: Socket {
    type Connection: Connects<Listener = Self>;

    fn bind_with_backlog(addr: &UnixAddr, backlog: i32) -> Result<Self, Errno>;
    fn listen(&self, backlog: i32) -> Result<(), Errno>;
    fn accept(&self) -> Result<(Self::Connection, UnixAddr), Errno>;
    fn accept_into(&self, from: &mut UnixAddr) -> Result<Self::Connection, Errno>;
}

macro_rules! impl_socket {
    ($Type:ident, $number:expr, $listens:expr, $fresh:expr) => {
        impl Socket for $Type {
            const TYPE: i32 = $number;
            const LISTENS: bool = $listens;

            fn fresh() -> Self {
                $fresh
            }
            fn from_fd_unchecked(fd: OwnedFd) -> Self {
                Self::from_fd_unchecked(fd)
            }
            fn bind(addr: &UnixAddr) -> Result<Self, Errno> {
                Self::bind(addr)
            }
            fn autobind() -> Result<(Self, UnixAddr), Errno> {
                Self::autobind()
            }
            fn local_addr(&self) -> Result<UnixAddr, Errno> {
                self.local_addr()
            }
            fn local_addr_into(&self, name: &mut UnixAddr) -> Result<(), Errno> {
                self.local_addr_into(name)
            }
            fn set_nonblocking(&self, nonblocking: bool) -> Result<(), Errno> {
                self.set_nonblocking(nonblocking)
            }
            fn take_error(&self) -> Result<Option<Errno>, Errno> {
                self.take_error()
            }
            fn shutdown(&self, how: Shutdown) -> Result<(), Errno> {
                self.shutdown(how)
            }
        }
    };
}

impl_socket!(UnixStream, libc::SOCK_STREAM, false, Self::unbound().unwrap());
impl_socket!(UnixDatagram, libc::SOCK_DGRAM, false, Self::unbound().unwrap());
impl_socket!(UnixSeqpacket, libc::SOCK_SEQPACKET, false, Self::unbound().unwrap());
impl_socket!(UnixListener, libc::SOCK_STREAM, true, Self::autobind().unwrap().0);
impl_socket!(UnixSeqpacketListener, libc::SOCK_SEQPACKET, true, Self::autobind().unwrap().0);

macro_rules! impl_data {
    ($Type:ident, $Server:ident, $connect:ident, $put:ident, $get:expr) => {
        impl Data for $Type {
            fn pair() -> Result<(Self, Self), Errno> {
                Self::pair()
            }
            fn unbound() -> Result<Self, Errno> {
                Self::unbound()
            }
            fn bind_to(&self, addr: &UnixAddr) -> Result<(), Errno> {
                self.bind_to(addr)
            }
            fn connect_to(&self, addr: &UnixAddr) -> Result<(), Errno> {
                self.$connect(addr)
            }
            fn connect_from_to(from: &UnixAddr, to: &UnixAddr) -> Result<Self, Errno> {
                Self::connect_from_to(from, to)
            }
            fn peer_addr(&self) -> Result<UnixAddr, Errno> {
                self.peer_addr()
            }
            fn peer_addr_into(&self, name: &mut UnixAddr) -> Result<(), Errno> {
                self.peer_addr_into(name)
            }
            fn put(&self, bytes: &[u8]) -> Result<usize, Errno> {
                self.$put(bytes)
            }
            fn get(&self, buf: &mut [u8]) -> Result<usize, Errno> {
                $get(self, buf)
            }
            fn serve(addr: &UnixAddr) -> Result<OwnedFd, Errno> {
                $Server::bind(addr).map(OwnedFd::from)
            }
        }
    };
}

impl_data!(UnixStream, UnixListener, connect_to, write, Self::read);
impl_data!(UnixDatagram, UnixDatagram, connect, send, |socket: &Self, buf: &mut [u8]| {
    socket.recv(buf).map(|received| received.bytes)
});
impl_data!(
    UnixSeqpacket,
    UnixSeqpacketListener,
    connect_to,
    send,
    |socket: &Self, buf: &mut [u8]| { socket.recv(buf).map(|received| received.bytes) }
);

macro_rules! impl_messages {
    ($Type:ident) => {
        impl Messages for $Type {
            fn send(&self, message: &[u8]) -> Result<usize, Errno> {
                self.send(message)
            }
            fn recv(&self, buf: &mut [u8]) -> Result<Received, Errno> {
                self.recv(buf)
            }
        }
    };
}

impl_messages!(UnixDatagram);
impl_messages!(UnixSeqpacket);

macro_rules! impl_connecting {
    ($Type:ident, $Listener:ident) => {
        impl Connects for $Type {
            type Listener = $Listener;

            fn connect(addr: &UnixAddr) -> Result<Self, Errno> {
                Self::connect(addr)
            }
            fn listen(self, backlog: i32) -> Result<$Listener, ListenError<Self>> {
                self.listen(backlog)
            }
        }

        impl Listens for $Listener {
            type Connection = $Type;

            fn bind_with_backlog(addr: &UnixAddr, backlog: i32) -> Result<Self, Errno> {
                Self::bind_with_backlog(addr, backlog)
            }
            fn listen(&self, backlog: i32) -> Result<(), Errno> {
                self.listen(backlog)
            }
            fn accept(&self) -> Result<($Type, UnixAddr), Errno> {
                self.accept()
            }
            fn accept_into(&self, from: &mut UnixAddr) -> Result<$Type, Errno> {
                self.accept_into(from)
            }
        }
    };
}

impl_connecting!(UnixStream, UnixListener);
impl_connecting!(UnixSeqpacket, UnixSeqpacketListener);

/// Makes one test for each type of a generic function: `name::stream` and so on. The function is
/// given the full name of the test, for [`in_child`](super::in_child).
macro_rules! for_types {
    ($name:ident: $($test:ident $Type:ident),+) => {
        mod $name {
            $(
                #[test]
                fn $test() {
                    let _watchdog = crate::common::Watchdog::new();
                    let test = concat!(module_path!(), "::", stringify!($test));
                    // The harness leaves out the crate.
                    let (_, test) = test.split_once("::").unwrap();
                    super::$name::<afunix::$Type>(test);
                }
            )+
        }
    };
}

macro_rules! for_all {
    ($($name:ident)+) => {
        $(for_types!($name: stream UnixStream, datagram UnixDatagram, seqpacket UnixSeqpacket,
            listener UnixListener, seqpacket_listener UnixSeqpacketListener);)+
    };
}

macro_rules! for_data {
    ($($name:ident)+) => {
        $(for_types!($name: stream UnixStream, datagram UnixDatagram, seqpacket UnixSeqpacket);)+
    };
}

macro_rules! for_messages {
    ($($name:ident)+) => {
        $(for_types!($name: datagram UnixDatagram, seqpacket UnixSeqpacket);)+
    };
}

macro_rules! for_connecting {
    ($($name:ident)+) => {
        $(for_types!($name: stream UnixStream, seqpacket UnixSeqpacket);)+
    };
}
