//! Control messages: what is written, and what is found of them on the other side.

use core::fmt::Write;

use afunix::{
    Ancillary, AncillaryBuf, AsFd, AsRawFd, CapacityError, ControlMessage, Credentials, Errno,
    IntoRawFd, IoSlice, IoSliceMut, OwnedFd, PidFd, RecvError, RecvOptions, SendError, SendOptions,
    Space, TakeFds, Truncation, UnixAddr, UnixDatagram, UnixStream, Unknown,
};
use rustix::process::{getgid, getpid, getuid};

use crate::addr::digest;
use crate::check::{Failure, opaque};
use crate::out::{Line, shows};
use crate::passing::{Carries, Key};
use crate::{check, get, raw};

const ALL: usize = Space::new().credentials().rights::<8>().pidfd().bytes_left().bytes();

/// What holds of all types, by the methods and by the functions.
pub fn run<S: Carries>(a: &S, b: &S, key: &Key) -> Result<(), Failure> {
    taking(a, b, key)?;
    attested(a, b, key)?;
    process(a, b)?;
    truncated(a, b, key)?;
    peeked(a, b, key)
}

/// What is of one type alone.
pub fn special() -> Result<(), Failure> {
    space()?;
    writing()?;
    addressed()?;
    timestamps()?;
    bytes_left()?;
    end_of_a_stream()
}

fn space() -> Result<(), Failure> {
    let space = opaque(Space::new());
    check!(space == Space::default() && space.bytes() == 0);
    check!(space.rights::<1>().bytes() == 24 && space.rights::<253>().bytes() == 1032);
    check!(space.credentials().bytes() == 32 && space.pidfd().bytes() == 24);
    check!(space.bytes_left().bytes() == 24 && space.payload(opaque(9)).bytes() == 32);
    check!(space.payload(opaque(usize::MAX)).pidfd().bytes() == usize::MAX);
    check!(digest(&space) == digest(&space.clone()));
    shows(&space)
}

/// A writer without a socket: what fits, and what does not.
fn writing() -> Result<(), Failure> {
    static EMPTY: AncillaryBuf<40> = AncillaryBuf::new();
    check!(EMPTY.capacity() == 40);
    shows(&EMPTY)?;
    let key = Key::new()?;
    let mut buf: AncillaryBuf<56> = AncillaryBuf::default();
    let mut writer = buf.writer();
    check!(writer.push_fds(opaque(&[])).is_ok());
    check!(writer.push_fds(opaque(&[key.passed.as_fd()])).is_ok());
    let refused = get!(writer.push_fds(opaque(&[key.passed.as_fd(); 5])).err());
    check!(matches!(refused, CapacityError { needed: 36, left: 32, .. }));
    check!(refused.errno() == Errno::NOBUFS);
    check!(writer.push_credentials(opaque(mine())).is_ok());
    check!(writer.push_credentials(opaque(mine())).is_err());
    check!(writer.push_fds(opaque(&[key.passed.as_fd()])).is_err());
    shows(&writer)
}

/// Each descriptor is taken once, and those that nobody takes stay, and are closed in the end.
fn taking<S: Carries>(a: &S, b: &S, key: &Key) -> Result<(), Failure> {
    let mut room = AncillaryBuf::<ALL>::new();
    let mut writer = room.writer();
    // Two messages, which arrive as one.
    check!(writer.push_fds(opaque(&[key.passed.as_fd(); 2])).is_ok());
    check!(writer.push_fds(opaque(&[key.passed.as_fd(); 3])).is_ok());
    let options = opaque(SendOptions::new().nonblocking());
    shows(&options)?;
    let pieces = [IoSlice::new(opaque(b"head")), IoSlice::new(opaque(b"body"))];
    check!(a.give_with(opaque(&pieces), &writer, options).is_ok_and(|sent| sent.bytes == 8));

    let mut control = AncillaryBuf::<ALL>::new();
    let (mut head, mut body) = ([0; 4], [0; 16]);
    let mut pieces = [IoSliceMut::new(opaque(&mut head)), IoSliceMut::new(opaque(&mut body))];
    let (received, mut ancillary) =
        get!(b.take_with(opaque(&mut pieces), &mut control, opaque(RecvOptions::new())));
    check!(received.bytes == 8 && &head == b"head" && body.starts_with(b"body"));
    check!(ancillary.truncation().is_none() && ancillary.credentials().is_none());
    check!(ancillary.security_context().is_none() && ancillary.bytes_left().is_none());
    check!(ancillary.unknown().next().is_none());
    check!(ancillary.take_pidfd().is_ok_and(|pidfd| pidfd.is_none()));
    check!(lent(&ancillary) == 5);

    let mut taken: TakeFds<'_> = ancillary.take_fds();
    key.fits(get!(taken.next()))?;
    key.fits(get!(taken.next()))?;
    shows(&taken)?;
    check!(lent(&ancillary) == 3);
    key.fits(get!(ancillary.take_fds().next()))?;
    check!(lent(&ancillary) == 2);
    shows(&ancillary)?;
    for fd in ancillary.fds() {
        check!(fd.as_raw_fd() > 2);
    }
    drop(opaque(ancillary));
    Ok(())
}

/// How many descriptors are there to be taken.
fn lent(ancillary: &Ancillary<'_>) -> usize {
    let mut seen = 0usize;
    for fd in ancillary.fds() {
        seen = seen.wrapping_add(usize::from(fd.as_raw_fd() >= 0));
    }
    seen
}

fn mine() -> Credentials {
    Credentials { pid: Some(getpid()), uid: getuid(), gid: getgid() }
}

/// Credentials that the kernel tells, and that are told it, with descriptors.
fn attested<S: Carries>(a: &S, b: &S, key: &Key) -> Result<(), Failure> {
    check!(afunix::passcred(b.as_fd()) == Ok(false));
    check!(afunix::set_passcred(b.as_fd(), opaque(true)).is_ok());
    check!(afunix::passcred(b.as_fd()) == Ok(true));
    let mut room = AncillaryBuf::<ALL>::new();
    for told in opaque([true, false]) {
        let mut writer = room.writer();
        if told {
            check!(writer.push_credentials(opaque(mine())).is_ok());
        }
        check!(writer.push_fds(opaque(&[key.passed.as_fd()])).is_ok());
        let data = [IoSlice::new(opaque(b"who"))];
        check!(a.give_with(&data, &writer, opaque(SendOptions::default())).is_ok());
        let mut control = AncillaryBuf::<ALL>::new();
        let mut buf = [0; 16];
        let mut pieces = [IoSliceMut::new(opaque(&mut buf))];
        let options = opaque(RecvOptions::default());
        let (_, mut ancillary) = get!(b.take_with(&mut pieces, &mut control, options));
        let sender = get!(ancillary.credentials());
        check!(sender == mine() && digest(&sender) == digest(&mine()));
        says(&sender)?;
        says(&opaque(Credentials { pid: None, ..sender }))?;
        check!(lent(&ancillary) == 1);
        key.fits(get!(ancillary.take_fds().next()))?;
    }
    // Beside descriptors alone there is room for credentials.
    check!(a.give(opaque(b"x"), opaque(&[key.passed.as_fd()])).is_ok());
    let (_, [fd]) = get!(b.take_exact::<1>(opaque(&mut [0; 16])));
    key.fits(fd)?;
    check!(afunix::set_passcred(b.as_fd(), opaque(false)).is_ok());
    Ok(())
}

/// A handle to the sender, where the kernel has them.
fn process<S: Carries>(a: &S, b: &S) -> Result<(), Failure> {
    match afunix::set_passpidfd(b.as_fd(), opaque(true)) {
        Err(Errno::NOPROTOOPT) => return Ok(()),
        result => check!(result.is_ok()),
    }
    check!(afunix::passpidfd(b.as_fd()) == Ok(true));
    check!(a.give(opaque(b"who"), opaque(&[])).is_ok());
    let mut control = AncillaryBuf::<ALL>::new();
    let mut buf = [0; 16];
    let mut pieces = [IoSliceMut::new(opaque(&mut buf))];
    let (_, mut ancillary) = get!(b.take_with(&mut pieces, &mut control, RecvOptions::new()));
    check!(lent(&ancillary) == 0 && ancillary.unknown().next().is_none());
    let pidfd: PidFd = get!(get!(ancillary.take_pidfd()));
    check!(ancillary.take_pidfd().is_ok_and(|again| again.is_none()));
    check!(pidfd.as_fd().as_raw_fd() == pidfd.as_raw_fd());
    shows(&pidfd)?;
    drop(ancillary);
    drop(OwnedFd::from(pidfd));

    // One that nobody takes is closed.
    check!(a.give(opaque(b"who"), opaque(&[])).is_ok());
    let (_, fds) = get!(b.take::<1>(opaque(&mut [0; 16])));
    check!(fds.is_empty() && fds.surplus() == 0);
    check!(a.give(opaque(b"who"), opaque(&[])).is_ok());
    let mut pieces = [IoSliceMut::new(opaque(&mut buf))];
    let (_, mut ancillary) = get!(b.take_with(&mut pieces, &mut control, RecvOptions::new()));
    check!(raw::close(get!(get!(ancillary.take_pidfd())).into_raw_fd()));
    check!(afunix::set_passpidfd(b.as_fd(), opaque(false)).is_ok());
    Ok(())
}

/// Too little room: an error, or as much as there is.
fn truncated<S: Carries>(a: &S, b: &S, key: &Key) -> Result<(), Failure> {
    let mut buf = [0; 16];
    for lossy in opaque([false, true]) {
        check!(a.give(opaque(b"x"), opaque(&[key.passed.as_fd(); 9])).is_ok());
        let mut control = AncillaryBuf::<{ Space::new().rights::<2>().bytes() }>::new();
        let mut pieces = [IoSliceMut::new(opaque(&mut buf))];
        let options = RecvOptions::new();
        let options = if lossy { options.lossy() } else { options };
        shows(&options)?;
        match b.take_with(&mut pieces, &mut control, options) {
            Ok((received, ancillary)) => {
                check!(lossy && received.bytes == 1 && lent(&ancillary) == 2);
                check!(ancillary.truncation() == Some(Truncation::BufferFull));
            }
            Err(RecvError::ControlTruncated { bytes, size, closed, cause, .. }) => {
                check!(!lossy && bytes == 1 && size == 1 && closed == 2);
                check!(cause == Truncation::BufferFull);
            }
            Err(_) => check!(false),
        }
    }
    // None at all.
    check!(a.give(opaque(b"x"), opaque(&[key.passed.as_fd()])).is_ok());
    let mut control = AncillaryBuf::<0>::new();
    let mut pieces = [IoSliceMut::new(opaque(&mut buf))];
    let lost = get!(b.take_with(&mut pieces, &mut control, RecvOptions::new()).err());
    check!(lost.errno() == Errno::NOBUFS);
    Ok(())
}

/// A look leaves all in place.
fn peeked<S: Carries>(a: &S, b: &S, key: &Key) -> Result<(), Failure> {
    check!(a.give(opaque(b"look"), opaque(&[key.passed.as_fd()])).is_ok());
    let mut control = AncillaryBuf::<ALL>::new();
    let mut buf = [0; 16];
    let mut pieces = [IoSliceMut::new(opaque(&mut buf))];
    let options = opaque(RecvOptions::new().peek().nonblocking());
    let (received, ancillary) = get!(b.take_with(&mut pieces, &mut control, options));
    check!(received.bytes == 4 && ancillary.truncation().is_some() && lent(&ancillary) == 0);
    drop(ancillary);
    let (received, [fd]) = get!(b.take_exact::<1>(opaque(&mut buf)));
    check!(received.bytes == 4);
    key.fits(fd)
}

/// To a name, and from one.
fn addressed() -> Result<(), Failure> {
    let key = Key::new()?;
    let (inbox, name) = get!(UnixDatagram::autobind());
    let (sender, own) = get!(UnixDatagram::autobind());
    let mut room = AncillaryBuf::<ALL>::new();
    for free in opaque([false, true]) {
        let mut writer = room.writer();
        check!(writer.push_fds(opaque(&[key.passed.as_fd()])).is_ok());
        let data = [IoSlice::new(opaque(b"letter"))];
        let options = opaque(SendOptions::new().to(&name));
        shows(&options)?;
        let sent = if free {
            afunix::send_with(&sender, &data, &writer, options)
        } else {
            sender.send_with(&data, &writer, options)
        };
        check!(sent.is_ok_and(|sent| sent.bytes == 6));
        let mut from = opaque(UnixAddr::UNNAMED);
        let options = opaque(RecvOptions::new().from(&mut from));
        shows(&options)?;
        let mut control = AncillaryBuf::<ALL>::new();
        let mut buf = [0; 16];
        let mut pieces = [IoSliceMut::new(opaque(&mut buf))];
        let (_, mut ancillary) = get!(if free {
            afunix::recv_with(&inbox, &mut pieces, &mut control, options)
        } else {
            inbox.recv_with(&mut pieces, &mut control, options)
        });
        check!(matches!(ancillary.take_fds_exact::<2>(), Err(1)));
        let [fd] = get!(ancillary.take_fds_exact::<1>());
        key.fits(fd)?;
        check!(from == own);
    }
    // Nobody has that name now.
    drop(inbox);
    let mut none = AncillaryBuf::<0>::new();
    let sent = sender.send_with(&[], &none.writer(), SendOptions::new().to(&name));
    check!(sent == Err(SendError::Kernel(Errno::CONNREFUSED)));
    Ok(())
}

/// A message that no accessor is for.
fn timestamps() -> Result<(), Failure> {
    const SO_TIMESTAMP: i32 = 29;
    let (a, b) = get!(UnixDatagram::pair());
    check!(raw::set(&b, SO_TIMESTAMP));
    check!(a.send(opaque(b"when")) == Ok(4));
    let mut control = AncillaryBuf::<ALL>::new();
    let mut buf = [0; 16];
    let mut pieces = [IoSliceMut::new(opaque(&mut buf))];
    let (_, ancillary) = get!(b.recv_with(&mut pieces, &mut control, RecvOptions::new()));
    let mut unknown: Unknown<'_> = ancillary.unknown();
    let message: ControlMessage<'_> = get!(unknown.clone().next());
    check!(message.level == 1 && message.kind == SO_TIMESTAMP && message.payload.len() == 16);
    check!(digest(&message) == digest(&message.clone()) && message == opaque(message));
    shows(&message)?;
    shows(&unknown)?;
    check!(unknown.next().is_some() && unknown.next().is_none());
    Ok(())
}

/// How much is left, where the kernel tells.
fn bytes_left() -> Result<(), Failure> {
    const SO_INQ: i32 = 84;
    let (a, b) = get!(UnixStream::pair());
    if !raw::set(&b, SO_INQ) {
        return Ok(());
    }
    check!(a.write(opaque(b"1234567")) == Ok(7));
    let mut control = AncillaryBuf::<ALL>::new();
    let mut buf = [0; 3];
    let mut pieces = [IoSliceMut::new(opaque(&mut buf))];
    let (_, ancillary) = get!(b.recv_with(&mut pieces, &mut control, RecvOptions::new()));
    check!(ancillary.bytes_left() == Some(4) && ancillary.security_context().is_none());
    Ok(())
}

/// Where the kernel's credentials are nobody's.
fn end_of_a_stream() -> Result<(), Failure> {
    for free in opaque([false, true]) {
        let (a, b) = get!(UnixStream::pair());
        check!(b.set_passcred(opaque(true)).is_ok());
        drop(a);
        let mut control = AncillaryBuf::<ALL>::new();
        let mut buf = [0; 3];
        let mut pieces = [IoSliceMut::new(opaque(&mut buf))];
        let (received, ancillary) = get!(if free {
            afunix::recv_with(&b, &mut pieces, &mut control, RecvOptions::new())
        } else {
            b.recv_with(&mut pieces, &mut control, RecvOptions::new())
        });
        check!(received.bytes == 0 && ancillary.credentials().is_none());
    }
    Ok(())
}

/// Prints it in each way there is.
fn says(credentials: &Credentials) -> Result<(), Failure> {
    let mut line = Line::new();
    check!(write!(line, "{credentials}").is_ok());
    check!(line.as_str().starts_with("pid ") == credentials.pid.is_some());
    shows(credentials)
}
