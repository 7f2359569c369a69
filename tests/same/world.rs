//! A few sockets and names, and calls that are made on them one after the other.

use std::fmt::Debug;
use std::io::{IoSlice, IoSliceMut};
use std::time::Duration;

use afunix::UnixAddr;

use crate::common::{TempDir, name};
use crate::makes::{Carries, Common, Make, R};

/// One call, on one of the sockets that there are by then.
#[derive(Clone, Copy, Debug)]
pub struct Op {
    pub call: Call,
    /// Which socket.
    pub who: u8,
    /// Which name, length or value.
    pub what: u8,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Call {
    StreamPair,
    DatagramPair,
    Unbound,
    Bind,
    Listen,
    Connect,
    Accept,
    TurnTo,
    Put,
    PutPieces,
    SendTo,
    Get,
    GetPieces,
    RecvFrom,
    Look,
    Shut,
    Nonblocking,
    LimitReading,
    LimitWriting,
    Limits,
    Clone,
    Local,
    Peer,
    TakeError,
    Drop,
}

/// All of them; what moves data more than once.
pub const CALLS: &[Call] = {
    use Call::*;
    &[
        StreamPair,
        DatagramPair,
        Unbound,
        Bind,
        Bind,
        Listen,
        Connect,
        Connect,
        Accept,
        TurnTo,
        Put,
        Put,
        Put,
        PutPieces,
        SendTo,
        SendTo,
        Get,
        Get,
        Get,
        GetPieces,
        RecvFrom,
        RecvFrom,
        Look,
        Look,
        Shut,
        Nonblocking,
        LimitReading,
        LimitWriting,
        Limits,
        Clone,
        Local,
        Peer,
        TakeError,
        Drop,
    ]
};

/// Whether calls on a socket wait, and for how long at most.
#[derive(Clone, Copy)]
struct Waits {
    nonblocking: bool,
    reading: bool,
    writing: bool,
}

enum Kind<M: Make> {
    Stream(M::Stream),
    Datagram(M::Datagram),
    Listener(M::Listener),
}

/// A socket, and which of the open sockets it is: a duplicate shares what it was told.
struct Socket<M: Make> {
    kind: Kind<M>,
    open: usize,
}

/// The sockets of one make, which see nothing of those of the other.
pub struct World<M: Make> {
    sockets: Vec<Socket<M>>,
    waits: Vec<Waits>,
    /// Two abstract names and two paths, others in each world.
    names: [UnixAddr; 4],
    _folder: TempDir,
}

/// Shorter than a tick, so that it is one.
const SHORT: Duration = Duration::from_micros(100);

/// How a call ended that could wait for ever, and so was not made.
const LEFT_OUT: &str = "left out";

/// What a call came to.
fn seen(result: R<impl Debug>) -> String {
    format!("{result:?}")
}

/// The bytes in a buffer, short enough to be read.
fn digest(bytes: &[u8]) -> (usize, u64) {
    let sum = bytes.iter().fold(7_u64, |sum, &byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
    (bytes.len(), sum)
}

fn length(what: u8) -> usize {
    [0, 1, 5, 16, 100, 1000, 70_000, 212_961][usize::from(what) % 8]
}

/// Does the same on either type that carries data.
macro_rules! on_data {
    ($socket:expr, $data:ident => $call:expr) => {
        match &$socket.kind {
            Kind::Stream($data) => $call,
            Kind::Datagram($data) => $call,
            Kind::Listener(_) => LEFT_OUT.to_owned(),
        }
    };
}

macro_rules! on_all {
    ($socket:expr, $any:ident => $call:expr) => {
        match &$socket.kind {
            Kind::Stream($any) => $call,
            Kind::Datagram($any) => $call,
            Kind::Listener($any) => $call,
        }
    };
}

impl<M: Make> World<M> {
    /// Makes all the calls in a world of its own, and gives what each came to.
    pub fn run(ops: &[Op]) -> Vec<String> {
        let folder = TempDir::new();
        let names = [name("one"), name("two"), folder.addr("three"), folder.addr("four")];
        let mut world = Self { sockets: Vec::new(), waits: Vec::new(), names, _folder: folder };
        // A pair of each from the start, or most calls would come to nothing.
        world.call(Op { call: Call::StreamPair, who: 0, what: 0 }, 0);
        world.call(Op { call: Call::DatagramPair, who: 0, what: 0 }, 0);
        ops.iter().zip(1..).map(|(&op, number)| world.call(op, number)).collect()
    }

    fn addr(&self, what: u8) -> UnixAddr {
        self.names[usize::from(what) % self.names.len()]
    }

    /// Which of the names it is: the name itself is another in each world.
    fn told(&self, addr: UnixAddr) -> String {
        match self.names.iter().position(|name| *name == addr) {
            Some(position) => format!("name {position}"),
            None => format!("{addr:?}"),
        }
    }

    /// Adds a socket, which does not wait; who changes that has a limit by then.
    fn add(&mut self, kind: Kind<M>) {
        let socket = Socket { kind, open: self.waits.len() };
        on_all!(socket, any => any.nonblocking(true).unwrap());
        if !matches!(socket.kind, Kind::Listener(_)) {
            on_data!(socket, data => {
                data.limit_reading(Some(SHORT)).unwrap();
                data.limit_writing(Some(SHORT)).unwrap();
                String::new()
            });
        }
        let limited = !matches!(socket.kind, Kind::Listener(_));
        self.waits.push(Waits { nonblocking: true, reading: limited, writing: limited });
        self.sockets.push(socket);
    }

    /// Adds what a call made, and says whether it did.
    fn made(&mut self, made: R<Kind<M>>) -> String {
        seen(made.map(|kind| self.add(kind)))
    }

    /// The sockets that a call can be made on.
    fn suit(&self, call: Call) -> Vec<usize> {
        let suits = |socket: &Socket<M>| {
            matches!(
                (call, &socket.kind),
                (Call::Accept, Kind::Listener(_))
                    | (Call::PutPieces | Call::GetPieces, Kind::Stream(_))
                    | (Call::TurnTo | Call::SendTo | Call::RecvFrom, Kind::Datagram(_))
                    | (Call::Nonblocking | Call::Clone | Call::Local, _)
                    | (Call::TakeError | Call::Drop, _)
                    | (
                        Call::Put
                            | Call::Get
                            | Call::Look
                            | Call::Shut
                            | Call::LimitReading
                            | Call::LimitWriting
                            | Call::Limits
                            | Call::Peer,
                        Kind::Stream(_) | Kind::Datagram(_),
                    )
            )
        };
        (0..self.sockets.len()).filter(|&at| suits(&self.sockets[at])).collect()
    }

    /// Makes one call. `number` is in the bytes that it sends.
    fn call(&mut self, op: Op, number: u8) -> String {
        let addr = self.addr(op.what);
        match op.call {
            Call::StreamPair => return self.pair(M::Stream::both(), Kind::Stream),
            Call::DatagramPair => return self.pair(M::Datagram::both(), Kind::Datagram),
            Call::Unbound => return self.made(M::unbound().map(Kind::Datagram)),
            Call::Bind => return self.made(M::bind(&addr).map(Kind::Datagram)),
            Call::Listen => return self.made(M::listen(&addr).map(Kind::Listener)),
            Call::Connect => return self.made(M::connect(&addr).map(Kind::Stream)),
            _ => {}
        }
        let suit = self.suit(op.call);
        if suit.is_empty() {
            return LEFT_OUT.to_owned();
        }
        let at = suit[usize::from(op.who) % suit.len()];
        let waits = self.waits[self.sockets[at].open];
        let forever = !waits.nonblocking
            && match op.call {
                Call::Get | Call::GetPieces | Call::RecvFrom | Call::Look | Call::Accept => {
                    !waits.reading
                }
                Call::Put | Call::PutPieces | Call::SendTo => !waits.writing,
                _ => false,
            };
        if forever {
            return LEFT_OUT.to_owned();
        }
        match op.call {
            Call::Put | Call::PutPieces | Call::SendTo => self.sends(at, op, number),
            Call::Get | Call::GetPieces | Call::RecvFrom | Call::Look => self.receives(at, op),
            Call::Nonblocking | Call::LimitReading | Call::LimitWriting | Call::Limits => {
                self.waits(at, op)
            }
            _ => self.others(at, op),
        }
    }

    fn pair<T>(&mut self, pair: R<(T, T)>, kind: fn(T) -> Kind<M>) -> String {
        seen(pair.map(|(a, b)| {
            self.add(kind(a));
            self.add(kind(b));
        }))
    }

    fn sends(&self, at: usize, op: Op, number: u8) -> String {
        let addr = self.addr(op.who / 16);
        let bytes: Vec<u8> = (0..length(op.what)).map(|at| number ^ at as u8).collect();
        let socket = &self.sockets[at];
        match (op.call, &socket.kind) {
            (Call::SendTo, Kind::Datagram(datagram)) => seen(M::send_to(datagram, &bytes, &addr)),
            (Call::PutPieces, Kind::Stream(stream)) => {
                let (head, rest) = bytes.split_at(bytes.len() / 3);
                let pieces = [IoSlice::new(head), IoSlice::new(&[]), IoSlice::new(rest)];
                let pieces = &pieces[..usize::from(op.who) % 4];
                if pieces.iter().all(|piece| piece.is_empty()) {
                    // Std does not ask the socket; see `calls_without_bytes_differ`.
                    return LEFT_OUT.to_owned();
                }
                seen(M::put_pieces(stream, pieces))
            }
            _ => on_data!(socket, data => seen(data.put(&bytes))),
        }
    }

    fn receives(&self, at: usize, op: Op) -> String {
        let mut buf = vec![9; length(op.what)];
        let socket = &self.sockets[at];
        if matches!((op.call, &socket.kind, buf.len()), (Call::Get, Kind::Stream(_), 0)) {
            // Std has the kernel wait for bytes that nobody wants; see `calls_without_bytes_differ`.
            return LEFT_OUT.to_owned();
        }
        let count = match (op.call, &socket.kind) {
            (Call::RecvFrom, Kind::Datagram(datagram)) => {
                let received = M::recv_from(datagram, &mut buf);
                let told = received.map(|(count, from)| (count, self.told(from)));
                return seen(told.map(|told| (told, digest(&buf))));
            }
            (Call::GetPieces, Kind::Stream(stream)) => {
                let (head, rest) = buf.split_at_mut(length(op.what) / 3);
                let mut pieces = [IoSliceMut::new(head), IoSliceMut::new(rest)];
                seen(M::get_pieces(stream, &mut pieces[..usize::from(op.who) % 3]))
            }
            (Call::Look, _) => on_data!(socket, data => seen(data.look(&mut buf))),
            _ => on_data!(socket, data => seen(data.get(&mut buf))),
        };
        // A call that failed has left the buffer alone.
        if count.starts_with("Err") && buf.iter().all(|&byte| byte == 9) {
            return count;
        }
        format!("{count} {:?}", digest(&buf))
    }

    fn waits(&mut self, at: usize, op: Op) -> String {
        let limits = [None, Some(Duration::ZERO), Some(SHORT), Some(3 * SHORT)];
        let limit = limits[usize::from(op.what) % limits.len()];
        let socket = &self.sockets[at];
        let waits = &mut self.waits[socket.open];
        match op.call {
            Call::Nonblocking => {
                // Seldom not: each call that waits takes a tick.
                waits.nonblocking = !op.what.is_multiple_of(4);
                on_all!(socket, any => seen(any.nonblocking(waits.nonblocking)))
            }
            Call::Limits => on_data!(socket, data => seen(data.limits())),
            Call::LimitReading => {
                let result = on_data!(socket, data => seen(data.limit_reading(limit)));
                if result.starts_with("Ok") {
                    waits.reading = limit.is_some_and(|limit| !limit.is_zero());
                }
                result
            }
            _ => {
                let result = on_data!(socket, data => seen(data.limit_writing(limit)));
                if result.starts_with("Ok") {
                    waits.writing = limit.is_some();
                }
                result
            }
        }
    }

    fn others(&mut self, at: usize, op: Op) -> String {
        let addr = self.addr(op.what);
        let socket = &self.sockets[at];
        match (op.call, &socket.kind) {
            (Call::Accept, Kind::Listener(listener)) => {
                let accepted = M::accept(listener);
                let told = accepted.map(|(stream, from)| {
                    self.add(Kind::Stream(stream));
                    self.told(from)
                });
                seen(told)
            }
            (Call::TurnTo, Kind::Datagram(datagram)) => seen(M::turn_to(datagram, &addr)),
            (Call::Clone, kind) => {
                let clone = match kind {
                    Kind::Stream(stream) => stream.cloned().map(Kind::Stream),
                    Kind::Datagram(datagram) => datagram.cloned().map(Kind::Datagram),
                    Kind::Listener(listener) => listener.cloned().map(Kind::Listener),
                };
                let open = socket.open;
                seen(clone.map(|kind| self.sockets.push(Socket { kind, open })))
            }
            (Call::Local, _) => {
                on_all!(socket, any => seen(any.local().map(|addr| self.told(addr))))
            }
            (Call::Peer, _) => {
                on_data!(socket, data => seen(data.peer().map(|addr| self.told(addr))))
            }
            (Call::Shut, _) => on_data!(socket, data => seen(data.shut(op.what))),
            (Call::TakeError, _) => on_all!(socket, any => seen(any.error())),
            _ => {
                drop(self.sockets.remove(at));
                seen(Ok(()))
            }
        }
    }
}
