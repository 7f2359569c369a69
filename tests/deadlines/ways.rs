//! Each way to receive and to send with a deadline, and deadlines to do it with.

use std::fmt::Debug;
use std::time::{Duration, Instant};

use afunix::{
    AcceptError, AncillaryBuf, Deadline, Errno, IoSlice, IoSliceMut, RecvOptions, SendOptions,
    UnixAddr, UnixDatagram, UnixListener, UnixSeqpacket, UnixSeqpacketListener, UnixStream,
};

use crate::common::kinds::{Connects, Listens, Socket};
use crate::common::passes::Passes;

/// Longer than a tick of the slowest clock, shorter than anybody minds.
pub const SHORT: Duration = Duration::from_millis(60);

/// What a machine with too much to do may add to it.
pub const SLACK: Duration = Duration::from_secs(10);

pub fn past() -> Deadline {
    Deadline::after(Duration::ZERO).unwrap()
}

pub fn soon() -> Deadline {
    Deadline::after(SHORT).unwrap()
}

pub fn far() -> Deadline {
    Deadline::after(Duration::from_secs(20)).unwrap()
}

/// Makes a call that must be `ETIMEDOUT`, in [`SHORT`] and not before.
#[track_caller]
pub fn expires<R: Debug, E: Debug + Into<Errno>>(call: impl FnOnce(Deadline) -> Result<R, E>) {
    let start = Instant::now();
    let error: Errno = call(soon()).unwrap_err().into();
    let elapsed = start.elapsed();
    assert_eq!(error, Errno::TIMEDOUT);
    assert!(elapsed >= SHORT && elapsed < SHORT + SLACK, "{elapsed:?}");
}

/// Receives: how many bytes there are in the buffer.
pub type Get<T> = fn(&T, &mut [u8], Deadline) -> Result<usize, Errno>;

/// Sends: how many bytes went.
pub type Put<T> = fn(&T, &[u8], Deadline) -> Result<usize, Errno>;

/// What the three that carry data can do until a deadline.
pub trait Timed: Passes + 'static {
    const GETS: &[Get<Self>];
    const PUTS: &[Put<Self>];
}

/// By the method with control messages, or the function that knows no type.
fn get_with<T: Passes>(socket: &T, buf: &mut [u8], deadline: Deadline) -> Result<usize, Errno> {
    let (mut control, mut from) = (AncillaryBuf::<256>::new(), UnixAddr::UNNAMED);
    let options = RecvOptions::new().from(&mut from).deadline(deadline);
    let (received, _) = socket.recv_with(&mut [IoSliceMut::new(buf)], &mut control, options)?;
    Ok(received.bytes)
}

fn get_by_function<T: Passes>(
    socket: &T,
    buf: &mut [u8],
    deadline: Deadline,
) -> Result<usize, Errno> {
    let (mut control, data) = (AncillaryBuf::<256>::new(), &mut [IoSliceMut::new(buf)]);
    // The later counts.
    let options = RecvOptions::new().nonblocking().deadline(deadline);
    let (received, _) = afunix::recv_with(socket, data, &mut control, options)?;
    Ok(received.bytes)
}

fn put_with<T: Passes>(socket: &T, data: &[u8], deadline: Deadline) -> Result<usize, Errno> {
    let (mut control, data) = (AncillaryBuf::<0>::new(), [IoSlice::new(data)]);
    let options = SendOptions::new().deadline(deadline);
    Ok(socket.send_with(&data, &control.writer(), options)?.bytes)
}

fn put_by_function<T: Passes>(socket: &T, data: &[u8], deadline: Deadline) -> Result<usize, Errno> {
    let (mut control, data) = (AncillaryBuf::<0>::new(), [IoSlice::new(data)]);
    let options = SendOptions::new().nonblocking().deadline(deadline);
    Ok(afunix::send_with(socket, &data, &control.writer(), options)?.bytes)
}

impl Timed for UnixStream {
    const GETS: &[Get<Self>] = &[Self::read_deadline, get_with, get_by_function];
    const PUTS: &[Put<Self>] = &[Self::write_deadline, put_with, put_by_function];
}

impl Timed for UnixDatagram {
    const GETS: &[Get<Self>] = &[
        |socket, buf, deadline| Ok(socket.recv_deadline(buf, deadline)?.bytes),
        |socket, buf, deadline| Ok(socket.recv_from_deadline(buf, deadline)?.0.bytes),
        get_with,
        get_by_function,
    ];
    const PUTS: &[Put<Self>] = &[Self::send_deadline, put_with, put_by_function];
}

impl Timed for UnixSeqpacket {
    const GETS: &[Get<Self>] = &[
        |socket, buf, deadline| Ok(socket.recv_deadline(buf, deadline)?.bytes),
        get_with,
        get_by_function,
    ];
    const PUTS: &[Put<Self>] = &[Self::send_deadline, put_with, put_by_function];
}

/// Sends until there is no room, and says how many bytes that took.
pub fn fill<T: Timed>(socket: &T) -> usize {
    let mut sent = 0;
    // Small pieces, so that in the end there is no room for a single byte.
    for piece in [&[1; 4096][..], &[1]] {
        loop {
            match T::PUTS[0](socket, piece, past()) {
                Ok(count) => sent += count,
                Err(error) => break assert_eq!(error, Errno::TIMEDOUT),
            }
        }
    }
    sent
}

/// Receives until there is nothing, and says how many bytes there were.
pub fn drain<T: Timed>(socket: &T) -> usize {
    let (mut received, mut buf) = (0, [0; 4096]);
    loop {
        match T::GETS[0](socket, &mut buf, past()) {
            Ok(count) => received += count,
            Err(error) => break assert_eq!(error, Errno::TIMEDOUT),
        }
    }
    received
}

/// What the two that connect, and listen, can do until a deadline.
pub trait TimedConnect: Connects<Listener: TimedListen<Connection = Self>> + Timed {
    fn connect_deadline(addr: &UnixAddr, deadline: Deadline) -> Result<Self, Errno>;
}

pub trait TimedListen: Listens {
    fn accept_deadline(
        &self,
        deadline: Deadline,
    ) -> Result<(Self::Connection, UnixAddr), AcceptError>;
}

macro_rules! impl_connecting {
    ($Type:ident, $Listener:ident) => {
        impl TimedConnect for $Type {
            fn connect_deadline(addr: &UnixAddr, deadline: Deadline) -> Result<Self, Errno> {
                Self::connect_deadline(addr, deadline)
            }
        }

        impl TimedListen for $Listener {
            fn accept_deadline(
                &self,
                deadline: Deadline,
            ) -> Result<($Type, UnixAddr), AcceptError> {
                self.accept_deadline(deadline)
            }
        }
    };
}

impl_connecting!(UnixStream, UnixListener);
impl_connecting!(UnixSeqpacket, UnixSeqpacketListener);

/// A listener whose backlog is full, and who filled it.
pub fn crowded<T: TimedConnect>() -> (T::Listener, UnixAddr, Vec<T>) {
    let (listener, server) = T::Listener::autobind().unwrap();
    listener.listen(2).unwrap();
    let clients = (0..3).map(|_| T::connect_deadline(&server, past()).unwrap()).collect();
    (listener, server, clients)
}

/// Limits the process, a child, to the descriptors that it has, and `free` more.
pub fn limit_descriptors(free: libc::rlim_t) {
    let open = crate::common::open_fds();
    // Those that are given have the lowest numbers, so gaps would be room as well.
    let highest = open.last().unwrap().0;
    // SAFETY: numbers alone, and a structure that outlives the call; what is opened here stays open.
    unsafe {
        while libc::dup(0) < highest {}
        let limit = libc::rlimit { rlim_cur: highest as libc::rlim_t + 2 + free, rlim_max: 4096 };
        assert_eq!(libc::setrlimit(libc::RLIMIT_NOFILE, &limit), 0);
    }
}
