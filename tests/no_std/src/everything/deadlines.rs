//! What has a deadline: at once, in vain, and refused.

use core::hash::{Hash, Hasher};
use core::time::Duration;

use afunix::{
    AcceptError, AncillaryBuf, Deadline, Errno, IoSlice, IoSliceMut, RecvError, RecvOptions,
    SendError, SendOptions, Shutdown, UnixAddr, UnixDatagram, UnixListener, UnixSeqpacket,
    UnixSeqpacketListener, UnixStream,
};

use crate::check::{Failure, is, opaque};
use crate::{check, get};

/// Too much to be waited for, and too little.
fn moments() -> Result<(Deadline, Deadline), Failure> {
    struct Sum(u64);
    impl Hasher for Sum {
        fn finish(&self) -> u64 {
            self.0
        }
        fn write(&mut self, bytes: &[u8]) {
            for byte in bytes {
                self.0 = self.0.wrapping_mul(31).wrapping_add(u64::from(*byte));
            }
        }
    }
    let past = get!(Deadline::after(opaque(Duration::ZERO)));
    check!(past.remaining() == Ok(Duration::ZERO));
    let soon = get!(Deadline::after(opaque(Duration::new(3, 999_999_999))));
    check!(soon > past && soon.remaining().is_ok_and(|left| left > Duration::from_secs(1)));
    let ever = get!(Deadline::after(opaque(Duration::MAX)));
    check!(ever > soon && ever.remaining().is_ok_and(|left| left > Duration::from_secs(1 << 40)));
    let (mut one, mut other) = (Sum(1), Sum(1));
    past.hash(&mut one);
    ever.hash(&mut other);
    check!(one.finish() != other.finish());
    Ok((past, opaque(ever)))
}

macro_rules! check_connecting {
    ($Type:ident, $Listener:ident, $past:expr) => {{
        let (listener, name) = get!($Listener::autobind());
        check!(listener.listen(opaque(0)).is_ok());
        check!(listener.accept_deadline($past).is_err_and(|error| error == AcceptError::Blocking));
        check!(listener.set_nonblocking(opaque(true)).is_ok());
        let timed_out = AcceptError::Kernel(Errno::TIMEDOUT);
        check!(listener.accept_deadline(short()?).is_err_and(|error| error == timed_out));
        let client = get!($Type::connect_deadline(opaque(&name), $past));
        check!(is($Type::connect_deadline(opaque(&name), $past), Errno::TIMEDOUT));
        check!(is($Type::connect_deadline(opaque(&name), short()?), Errno::TIMEDOUT));
        check!(listener.accept_deadline($past).is_ok_and(|(_, from)| from.is_unnamed()));
        check!(client.write_timeout() == Ok(None));
        check!(listener.shutdown(Shutdown::Read).is_ok());
        let shut = AcceptError::Kernel(Errno::INVAL);
        check!(listener.accept_deadline($past).is_err_and(|error| error == shut));
    }};
}

fn short() -> Result<Deadline, Failure> {
    Ok(get!(Deadline::after(opaque(Duration::from_millis(2)))))
}

pub fn run() -> Result<(), Failure> {
    let (past, ever) = moments()?;
    check_connecting!(UnixStream, UnixListener, past);
    check_connecting!(UnixSeqpacket, UnixSeqpacketListener, past);

    let mut buf = [0; 4];
    let (a, b) = get!(UnixStream::pair());
    check!(is(b.read_deadline(opaque(&mut buf), short()?), Errno::TIMEDOUT));
    check!(b.read_deadline(opaque(&mut []), past) == Ok(0));
    check!(a.write_deadline(opaque(b"word"), ever) == Ok(4));
    check!(b.read_deadline(opaque(&mut buf), ever) == Ok(4));
    while a.write_deadline(opaque(&[0; 4096]), past).is_ok() {}
    check!(is(a.write_deadline(opaque(b"word"), short()?), Errno::TIMEDOUT));

    let (a, b) = get!(UnixSeqpacket::pair());
    check!(is(b.recv_deadline(opaque(&mut buf), short()?), Errno::TIMEDOUT));
    check!(a.send_deadline(opaque(b"word"), ever) == Ok(4));
    check!(b.recv_deadline(opaque(&mut buf), ever).is_ok_and(|received| received.size == 4));
    while a.send_deadline(opaque(b"word"), past).is_ok() {}
    check!(is(a.send_deadline(opaque(b"word"), short()?), Errno::TIMEDOUT));
    datagrams(past, ever)
}

fn datagrams(past: Deadline, ever: Deadline) -> Result<(), Failure> {
    let mut buf = [0; 4];
    let (inbox, name) = get!(UnixDatagram::autobind());
    let sender = get!(UnixDatagram::unbound());
    check!(is(inbox.recv_from_deadline(opaque(&mut buf), short()?), Errno::TIMEDOUT));
    check!(sender.send_to_deadline(opaque(b"word"), &name, ever) == Ok(4));
    let (received, from) = get!(inbox.recv_from_deadline(opaque(&mut buf), ever));
    check!(received.bytes == 4 && from.is_unnamed());
    while sender.send_to_deadline(opaque(b"word"), &name, past).is_ok() {}
    check!(is(sender.send_to_deadline(opaque(b"word"), &name, short()?), Errno::TIMEDOUT));

    let mut control = AncillaryBuf::<64>::new();
    let data = [IoSlice::new(opaque(b"word"))];
    let options = SendOptions::new().to(&name).deadline(opaque(short()?));
    let sent = afunix::send_with(&sender, &data, &control.writer(), options);
    check!(sent.is_err_and(|error| error == SendError::Kernel(Errno::TIMEDOUT)));
    while inbox.recv_deadline(opaque(&mut buf), past).is_ok() {}
    check!(afunix::send_with(&sender, &data, &control.writer(), options).is_ok());

    let mut from = UnixAddr::UNNAMED;
    let mut data = [IoSliceMut::new(opaque(&mut buf))];
    let options = RecvOptions::new().from(&mut from).deadline(opaque(ever));
    check!(afunix::recv_with(&inbox, &mut data, &mut control, options).is_ok());
    let options = RecvOptions::new().deadline(opaque(short()?));
    match inbox.recv_with(&mut data, &mut control, options) {
        Err(error) => check!(error == RecvError::Kernel(Errno::TIMEDOUT)),
        Ok(_) => check!(false),
    }
    check!(inbox.shutdown(Shutdown::Read).is_ok());
    let options = RecvOptions::new().from(&mut from).deadline(opaque(ever));
    let (received, _) = get!(inbox.recv_with(&mut data, &mut control, options));
    check!(received.size == 0 && from.is_unnamed());
    Ok(())
}
