//! Datagrams.

use afunix::{AsFd, AsRawFd, Errno, OwnedFd, Shutdown, UnixAddr, UnixDatagram, UnixStream};

use crate::check::{Failure, Names, is, opaque};
use crate::out::print;
use crate::{check, check_data, check_options, check_socket, get};

pub fn run() -> Result<(), Failure> {
    let names = Names::new()?;
    check_data!(UnixDatagram, names, tags: b'1' b'2', not: UnixStream);

    let (to, from) = (names.name(b'3')?, names.name(b'4')?);
    let receiver = get!(UnixDatagram::bind(&to));
    let sender = get!(UnixDatagram::connect_from_to(&from, &to));
    let text = b"a datagram says hello\n";
    check!(sender.send(opaque(text)) == Ok(text.len()));
    let mut buf = [0; 64];
    let seen = get!(receiver.peek(opaque(&mut buf[..5])));
    check!(seen.bytes == 5 && seen.size == text.len());
    check!(receiver.next_message_size() == Ok(text.len()));
    check!(receiver.max_message_size().is_ok_and(|max| max >= 4576));
    let (received, peer) = get!(receiver.recv_from(opaque(&mut buf[..])));
    check!(peer == from && !received.is_truncated());
    let message = get!(buf.get(..received.bytes));
    check!(message == text);
    print(get!(str::from_utf8(message)));

    let nameless = get!(UnixDatagram::unbound());
    check!(is(nameless.send(opaque(text)), Errno::NOTCONN));
    check!(nameless.send_to(opaque(text), &to) == Ok(text.len()));
    let mut peer = opaque(from);
    let received = get!(receiver.recv_from_into(opaque(&mut buf[..3]), &mut peer));
    check!(peer.is_unnamed() && received.is_truncated() && received.bytes == 3);
    check!(nameless.connect(&to).is_ok());
    check!(nameless.send(opaque(b"")) == Ok(0));
    let received = get!(receiver.recv(opaque(&mut buf[..])));
    check!(received.size == 0 && received.bytes == 0);
    check!(nameless.disconnect().is_ok());
    check!(is(nameless.send(opaque(b"")), Errno::NOTCONN));

    // What fails leaves no file behind, or the second could not bind to it.
    let path = get!(UnixAddr::from_pathname(opaque(b"afunix-no-std.sock")));
    let nobody = names.name(b'5')?;
    check!(is(UnixDatagram::connect_from_to(&path, &nobody), Errno::CONNREFUSED));
    check!(is(UnixDatagram::connect_from_to(&path, &nobody), Errno::CONNREFUSED));
    Ok(())
}
