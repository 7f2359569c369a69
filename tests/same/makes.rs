//! Std's sockets and these behind one trait.

use std::io::{self, ErrorKind, IoSlice, IoSliceMut, Read, Write};
use std::net;
use std::os::fd::AsRawFd;
use std::os::unix::net as theirs;
use std::time::Duration;

use afunix::{Errno, Shutdown, UnixAddr, UnixDatagram, UnixListener, UnixStream};

/// A value, or the number of an error.
pub type R<T> = Result<T, i32>;

/// A call of these sockets that is changed, to see whether that is seen.
pub mod plant {
    use std::cell::Cell;

    /// How many there are.
    pub const COUNT: u8 = 9;

    thread_local!(static PLANTED: Cell<u8> = const { Cell::new(0) });

    /// Plants one, in this thread; or none.
    pub fn set(number: u8) {
        PLANTED.set(number);
    }

    pub fn is(number: u8) -> bool {
        PLANTED.get() == number
    }
}

/// The number of an error.
trait Number {
    fn number(self) -> i32;
}

impl Number for io::Error {
    fn number(self) -> i32 {
        match (self.raw_os_error(), self.kind()) {
            (Some(number), _) => number,
            // What std refuses by itself.
            (None, ErrorKind::InvalidInput) => libc::EINVAL,
            (None, kind) => panic!("{kind:?}: {self}"),
        }
    }
}

impl Number for Errno {
    fn number(self) -> i32 {
        self.raw_os_error()
    }
}

/// An address as ours.
trait Told {
    fn told(self) -> UnixAddr;
}

impl Told for UnixAddr {
    fn told(self) -> UnixAddr {
        self
    }
}

impl Told for theirs::SocketAddr {
    fn told(self) -> UnixAddr {
        UnixAddr::try_from(self).unwrap()
    }
}

/// Which way to shut down.
trait How {
    fn of(number: u8) -> Self;
}

impl How for net::Shutdown {
    fn of(number: u8) -> Self {
        [Self::Read, Self::Write, Self::Both][usize::from(number % 3)]
    }
}

impl How for Shutdown {
    fn of(number: u8) -> Self {
        if plant::is(1) {
            return Self::Both;
        }
        [Self::Read, Self::Write, Self::Both][usize::from(number % 3)]
    }
}

/// What all three types of both makes can do.
pub trait Common: AsRawFd + Sized {
    fn nonblocking(&self, on: bool) -> R<()>;
    fn cloned(&self) -> R<Self>;
    fn local(&self) -> R<UnixAddr>;
    fn error(&self) -> R<Option<i32>>;
}

/// What those do that carry data.
pub trait Carries: Common {
    fn both() -> R<(Self, Self)>;
    fn peer(&self) -> R<UnixAddr>;
    fn shut(&self, how: u8) -> R<()>;
    fn limit_reading(&self, limit: Option<Duration>) -> R<()>;
    fn limit_writing(&self, limit: Option<Duration>) -> R<()>;
    fn limits(&self) -> R<[Option<Duration>; 2]>;
    /// How many bytes are in the buffer, which are still in the queue.
    fn look(&self, buf: &mut [u8]) -> R<usize>;
    fn get(&self, buf: &mut [u8]) -> R<usize>;
    fn put(&self, bytes: &[u8]) -> R<usize>;
}

/// Std's stable methods have the names of ours.
macro_rules! impl_common {
    ($($Type:ty)+) => {
        $(impl Common for $Type {
            fn nonblocking(&self, on: bool) -> R<()> {
                self.set_nonblocking(on).map_err(Number::number)
            }
            fn cloned(&self) -> R<Self> {
                self.try_clone().map_err(Number::number)
            }
            fn local(&self) -> R<UnixAddr> {
                self.local_addr().map(Told::told).map_err(Number::number)
            }
            fn error(&self) -> R<Option<i32>> {
                let error = self.take_error().map_err(Number::number)?;
                Ok(error.map(Number::number))
            }
        })+
    };
}

impl_common!(
    theirs::UnixStream theirs::UnixDatagram theirs::UnixListener UnixStream UnixDatagram UnixListener
);

macro_rules! impl_carries {
    ($($Type:ty, $ours:literal, $look:expr, $get:expr, $put:expr;)+) => {
        $(impl Carries for $Type {
            fn both() -> R<(Self, Self)> {
                Self::pair().map_err(Number::number)
            }
            fn peer(&self) -> R<UnixAddr> {
                if $ours && plant::is(2) {
                    return self.local();
                }
                self.peer_addr().map(Told::told).map_err(Number::number)
            }
            fn shut(&self, how: u8) -> R<()> {
                self.shutdown(How::of(how)).map_err(Number::number)
            }
            fn limit_reading(&self, limit: Option<Duration>) -> R<()> {
                if $ours && plant::is(3) && limit == Some(Duration::ZERO) {
                    return Ok(());
                }
                self.set_read_timeout(limit).map_err(Number::number)
            }
            fn limit_writing(&self, limit: Option<Duration>) -> R<()> {
                self.set_write_timeout(limit).map_err(Number::number)
            }
            fn limits(&self) -> R<[Option<Duration>; 2]> {
                let reading = self.read_timeout().map_err(Number::number)?;
                let writing = self.write_timeout().map_err(Number::number)?;
                Ok(if $ours && plant::is(4) { [writing, reading] } else { [reading, writing] })
            }
            fn look(&self, buf: &mut [u8]) -> R<usize> {
                if $ours && plant::is(5) {
                    return self.get(buf);
                }
                $look(self, buf)
            }
            fn get(&self, buf: &mut [u8]) -> R<usize> {
                let got = $get(self, buf);
                match got {
                    Err(libc::EAGAIN) if $ours && plant::is(6) => Ok(0),
                    Ok(1..) if $ours && plant::is(7) => {
                        buf[0] ^= 1;
                        got
                    }
                    _ => got,
                }
            }
            fn put(&self, bytes: &[u8]) -> R<usize> {
                match $put(self, bytes) {
                    Err(libc::EPIPE) if $ours && plant::is(8) => Err(libc::ECONNRESET),
                    put => put,
                }
            }
        })+
    };
}

/// Std has no stable call for it: the one it would make.
fn peek(socket: &impl AsRawFd, buf: &mut [u8]) -> R<usize> {
    // SAFETY: the buffer is there for as long as it is said to be.
    let count = unsafe {
        libc::recv(socket.as_raw_fd(), buf.as_mut_ptr().cast(), buf.len(), libc::MSG_PEEK)
    };
    usize::try_from(count).map_err(|_| io::Error::last_os_error().number())
}

impl_carries!(
    theirs::UnixStream, false,
        peek,
        |mut socket: &Self, buf: &mut [u8]| socket.read(buf).map_err(Number::number),
        |mut socket: &Self, bytes: &[u8]| socket.write(bytes).map_err(Number::number);
    theirs::UnixDatagram, false,
        peek,
        |socket: &Self, buf: &mut [u8]| socket.recv(buf).map_err(Number::number),
        |socket: &Self, bytes: &[u8]| socket.send(bytes).map_err(Number::number);
    UnixStream, true,
        |socket: &Self, buf: &mut [u8]| socket.peek(buf).map_err(Number::number),
        |socket: &Self, buf: &mut [u8]| UnixStream::read(socket, buf).map_err(Number::number),
        |socket: &Self, bytes: &[u8]| UnixStream::write(socket, bytes).map_err(Number::number);
    UnixDatagram, true,
        |socket: &Self, buf: &mut [u8]| {
            socket.peek(buf).map(|seen| seen.bytes).map_err(Number::number)
        },
        |socket: &Self, buf: &mut [u8]| {
            socket.recv(buf).map(|received| received.bytes).map_err(Number::number)
        },
        |socket: &Self, bytes: &[u8]| socket.send(bytes).map_err(Number::number);
);

/// One make of sockets: what is not the same for all three types.
pub trait Make {
    type Stream: Carries;
    type Datagram: Carries;
    type Listener: Common;

    fn connect(to: &UnixAddr) -> R<Self::Stream>;
    fn listen(at: &UnixAddr) -> R<Self::Listener>;
    fn accept(listener: &Self::Listener) -> R<(Self::Stream, UnixAddr)>;
    fn get_pieces(stream: &Self::Stream, bufs: &mut [IoSliceMut<'_>]) -> R<usize>;
    fn put_pieces(stream: &Self::Stream, bufs: &[IoSlice<'_>]) -> R<usize>;
    fn unbound() -> R<Self::Datagram>;
    fn bind(at: &UnixAddr) -> R<Self::Datagram>;
    fn turn_to(socket: &Self::Datagram, to: &UnixAddr) -> R<()>;
    fn send_to(socket: &Self::Datagram, bytes: &[u8], to: &UnixAddr) -> R<usize>;
    fn recv_from(socket: &Self::Datagram, buf: &mut [u8]) -> R<(usize, UnixAddr)>;
}

/// Std's.
pub enum Theirs {}

fn address(addr: &UnixAddr) -> theirs::SocketAddr {
    theirs::SocketAddr::try_from(addr).unwrap()
}

impl Make for Theirs {
    type Stream = theirs::UnixStream;
    type Datagram = theirs::UnixDatagram;
    type Listener = theirs::UnixListener;

    fn connect(to: &UnixAddr) -> R<Self::Stream> {
        theirs::UnixStream::connect_addr(&address(to)).map_err(Number::number)
    }
    fn listen(at: &UnixAddr) -> R<Self::Listener> {
        theirs::UnixListener::bind_addr(&address(at)).map_err(Number::number)
    }
    fn accept(listener: &Self::Listener) -> R<(Self::Stream, UnixAddr)> {
        let (stream, from) = listener.accept().map_err(Number::number)?;
        Ok((stream, from.told()))
    }
    fn get_pieces(mut stream: &Self::Stream, bufs: &mut [IoSliceMut<'_>]) -> R<usize> {
        stream.read_vectored(bufs).map_err(Number::number)
    }
    fn put_pieces(mut stream: &Self::Stream, bufs: &[IoSlice<'_>]) -> R<usize> {
        stream.write_vectored(bufs).map_err(Number::number)
    }
    fn unbound() -> R<Self::Datagram> {
        theirs::UnixDatagram::unbound().map_err(Number::number)
    }
    fn bind(at: &UnixAddr) -> R<Self::Datagram> {
        theirs::UnixDatagram::bind_addr(&address(at)).map_err(Number::number)
    }
    fn turn_to(socket: &Self::Datagram, to: &UnixAddr) -> R<()> {
        socket.connect_addr(&address(to)).map_err(Number::number)
    }
    fn send_to(socket: &Self::Datagram, bytes: &[u8], to: &UnixAddr) -> R<usize> {
        socket.send_to_addr(bytes, &address(to)).map_err(Number::number)
    }
    fn recv_from(socket: &Self::Datagram, buf: &mut [u8]) -> R<(usize, UnixAddr)> {
        let (count, from) = socket.recv_from(buf).map_err(Number::number)?;
        Ok((count, from.told()))
    }
}

/// These.
pub enum Ours {}

impl Make for Ours {
    type Stream = UnixStream;
    type Datagram = UnixDatagram;
    type Listener = UnixListener;

    fn connect(to: &UnixAddr) -> R<UnixStream> {
        UnixStream::connect(to).map_err(Number::number)
    }
    fn listen(at: &UnixAddr) -> R<UnixListener> {
        UnixListener::bind(at).map_err(Number::number)
    }
    fn accept(listener: &UnixListener) -> R<(UnixStream, UnixAddr)> {
        listener.accept().map_err(Number::number)
    }
    fn get_pieces(stream: &UnixStream, bufs: &mut [IoSliceMut<'_>]) -> R<usize> {
        UnixStream::read_vectored(stream, bufs).map_err(Number::number)
    }
    fn put_pieces(stream: &UnixStream, bufs: &[IoSlice<'_>]) -> R<usize> {
        UnixStream::write_vectored(stream, bufs).map_err(Number::number)
    }
    fn unbound() -> R<UnixDatagram> {
        UnixDatagram::unbound().map_err(Number::number)
    }
    fn bind(at: &UnixAddr) -> R<UnixDatagram> {
        UnixDatagram::bind(at).map_err(Number::number)
    }
    fn turn_to(socket: &UnixDatagram, to: &UnixAddr) -> R<()> {
        socket.connect(to).map_err(Number::number)
    }
    fn send_to(socket: &UnixDatagram, bytes: &[u8], to: &UnixAddr) -> R<usize> {
        socket.send_to(bytes, to).map_err(Number::number)
    }
    fn recv_from(socket: &UnixDatagram, buf: &mut [u8]) -> R<(usize, UnixAddr)> {
        let (received, from) = socket.recv_from(buf).map_err(Number::number)?;
        // What std gives is what is in the buffer.
        Ok((if plant::is(9) { received.size } else { received.bytes }, from))
    }
}
