//! Descriptors: sent and received on each type, by its methods and by the functions for any socket.

use afunix::{
    Ancillary, AncillaryBuf, AncillaryWriter, AsFd, AsRawFd, BorrowedFd, Errno, Fds, FdsIntoIter,
    FdsIter, IoSlice, IoSliceMut, OwnedFd, Received, RecvError, RecvOptions, SendError,
    SendOptions, Sent, UnixDatagram, UnixSeqpacket, UnixStream,
};

use crate::check::{Failure, opaque};
use crate::out::shows;
use crate::{check, get};

/// One way to call what there is: the methods of a type, or the functions.
pub trait Carries: AsFd {
    const IS_STREAM: bool;
    fn give(&self, data: &[u8], fds: &[BorrowedFd<'_>]) -> Result<Sent, SendError>;
    fn take<const N: usize>(&self, buf: &mut [u8]) -> Result<(Received, Fds<N>), RecvError>;
    fn take_into<const N: usize>(
        &self,
        buf: &mut [u8],
        fds: &mut Fds<N>,
    ) -> Result<Received, RecvError>;
    fn take_exact<const N: usize>(
        &self,
        buf: &mut [u8],
    ) -> Result<(Received, [OwnedFd; N]), RecvError>;
    fn give_with(
        &self,
        data: &[IoSlice<'_>],
        ancillary: &AncillaryWriter<'_, '_>,
        options: SendOptions<'_>,
    ) -> Result<Sent, SendError>;
    fn take_with<'b, const N: usize>(
        &self,
        data: &mut [IoSliceMut<'_>],
        control: &'b mut AncillaryBuf<N>,
        options: RecvOptions<'_>,
    ) -> Result<(Received, Ancillary<'b>), RecvError>;
}

/// Implements it by functions that are found at `$by`: a type, or the crate.
macro_rules! impl_carries {
    ([$($S:ident)?] $Type:ty, $IS_STREAM:expr, $($by:tt)+) => {
        impl<$($S: Carries)?> Carries for $Type {
            const IS_STREAM: bool = $IS_STREAM;

            fn give(&self, data: &[u8], fds: &[BorrowedFd<'_>]) -> Result<Sent, SendError> {
                $($by)+::send_fds(self, data, fds)
            }

            fn take<const N: usize>(
                &self,
                buf: &mut [u8],
            ) -> Result<(Received, Fds<N>), RecvError> {
                $($by)+::recv_fds(self, buf)
            }

            fn take_into<const N: usize>(
                &self,
                buf: &mut [u8],
                fds: &mut Fds<N>,
            ) -> Result<Received, RecvError> {
                $($by)+::recv_fds_into(self, buf, fds)
            }

            fn take_exact<const N: usize>(
                &self,
                buf: &mut [u8],
            ) -> Result<(Received, [OwnedFd; N]), RecvError> {
                $($by)+::recv_fds_exact(self, buf)
            }

            fn give_with(
                &self,
                data: &[IoSlice<'_>],
                ancillary: &AncillaryWriter<'_, '_>,
                options: SendOptions<'_>,
            ) -> Result<Sent, SendError> {
                $($by)+::send_with(self, data, ancillary, options)
            }

            fn take_with<'b, const N: usize>(
                &self,
                data: &mut [IoSliceMut<'_>],
                control: &'b mut AncillaryBuf<N>,
                options: RecvOptions<'_>,
            ) -> Result<(Received, Ancillary<'b>), RecvError> {
                $($by)+::recv_with(self, data, control, options)
            }
        }
    };
}

/// A socket that is only known to be one.
pub struct Any<S>(S);

impl<S: Carries> AsFd for Any<S> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl_carries!([] UnixStream, true, UnixStream);
impl_carries!([] UnixDatagram, false, UnixDatagram);
impl_carries!([] UnixSeqpacket, false, UnixSeqpacket);
impl_carries!([S] Any<S>, S::IS_STREAM, afunix);

/// A socket to be passed along, and the other end, at which what comes back can be proved to be it.
pub struct Key {
    pub passed: UnixDatagram,
    other: UnixDatagram,
}

impl Key {
    pub fn new() -> Result<Self, Failure> {
        let (passed, other) = get!(UnixDatagram::pair());
        Ok(Self { passed, other })
    }

    /// What is sent on `fd` arrives where it must, so it is the one that was passed.
    pub fn fits(&self, fd: OwnedFd) -> Result<(), Failure> {
        let same = get!(UnixDatagram::try_from(fd));
        check!(same.as_raw_fd() != self.passed.as_raw_fd());
        check!(same.send(opaque(b"fits")) == Ok(4));
        let mut buf = [0; 8];
        check!(self.other.recv(opaque(&mut buf)).is_ok_and(|received| received.bytes == 4));
        check!(buf.starts_with(b"fits"));
        Ok(())
    }
}

/// The number that the next descriptor gets, which is the lowest that is free: one that was left
/// open shows.
pub fn next_number() -> Result<i32, Failure> {
    Ok(get!(UnixStream::unbound()).as_raw_fd())
}

pub fn run() -> Result<(), Failure> {
    let (a, b) = get!(UnixStream::pair());
    both(a, b)?;
    let (a, b) = get!(UnixDatagram::pair());
    both(a, b)?;
    let (a, b) = get!(UnixSeqpacket::pair());
    both(a, b)
}

fn both<S: Carries>(a: S, b: S) -> Result<(), Failure> {
    each(&a, &b)?;
    each(&Any(a), &Any(b))
}

fn each<S: Carries>(a: &S, b: &S) -> Result<(), Failure> {
    let key = Key::new()?;
    let free = next_number()?;
    few(a, b, &key)?;
    many(a, b, &key)?;
    containers(a, b, &key)?;
    refusals(a, b, &key)?;
    crate::control::run(a, b, &key)?;
    check!(next_number()? == free);
    Ok(())
}

/// None, one, and more than there is room for.
fn few<S: Carries>(a: &S, b: &S, key: &Key) -> Result<(), Failure> {
    let mut buf = [0; 16];
    check!(a.give(opaque(b"none"), opaque(&[])).is_ok_and(|sent| sent.bytes == 4));
    let (received, fds) = get!(b.take::<0>(opaque(&mut buf)));
    check!(received.bytes == 4 && fds.is_empty() && fds.surplus() == 0);
    check!(fds.get(opaque(0)).is_none() && fds.into_array::<0>().is_ok());

    let one = [key.passed.as_fd()];
    check!(a.give(opaque(b"one"), opaque(&one)).is_ok());
    let (_, fds) = get!(b.take::<0>(opaque(&mut buf)));
    check!(fds.is_empty() && fds.surplus() == 1);
    shows(&fds)?;

    check!(a.give(opaque(b"one"), opaque(&one)).is_ok());
    let (_, fds) = get!(b.take::<1>(opaque(&mut buf)));
    check!(fds.len() == 1 && fds.get(opaque(0)).is_some() && fds.get(opaque(1)).is_none());
    let [fd] = get!(fds.into_array::<1>());
    key.fits(fd)?;

    check!(a.give(opaque(b"one"), opaque(&one)).is_ok());
    let (received, [fd]) = get!(b.take_exact::<1>(opaque(&mut buf)));
    check!(received.bytes == 3 && !received.is_truncated());
    key.fits(fd)?;
    check!(a.give(opaque(b"none"), opaque(&[])).is_ok());
    check!(b.take_exact::<0>(opaque(&mut buf)).is_ok());

    let sent = get!(a.give(opaque(b"whole"), opaque(&[])));
    check!(sent == opaque(sent) && sent.rest(opaque(b"whole")).is_empty());
    check!(sent.rest(opaque(b"whole and more")) == b" and more");
    check!(sent.rest(opaque(b"")).is_empty());
    shows(&sent)?;
    check!(b.take::<4>(opaque(&mut buf)).is_ok());
    Ok(())
}

/// As many as a message carries, and one more.
fn many<S: Carries>(a: &S, b: &S, key: &Key) -> Result<(), Failure> {
    let mut buf = [0; 16];
    let fds = [key.passed.as_fd(); 254];
    let refused = get!(a.give(opaque(b"x"), opaque(&fds)).err());
    check!(refused == SendError::TooManyFds { fds: 254 });
    let most = get!(fds.get(..opaque(253)));
    check!(a.give(opaque(b"x"), most).is_ok());
    let (_, fds) = get!(b.take::<253>(opaque(&mut buf)));
    check!(fds.len() == 253 && fds.surplus() == 0);
    let mut seen = 0usize;
    for fd in fds {
        seen = seen.wrapping_add(1);
        // Each is one more in the same queue, so not all at once.
        key.fits(fd)?;
    }
    check!(seen == 253);
    check!(a.give(opaque(b"x"), most).is_ok());
    let (_, fds) = get!(b.take_exact::<253>(opaque(&mut buf)));
    drop(opaque(fds));
    // In place of what is there, which is closed.
    let mut fds = opaque(Fds::<253>::new());
    for _ in 0..2 {
        check!(a.give(opaque(b"x"), most).is_ok());
        check!(b.take_into(opaque(&mut buf), &mut fds).is_ok_and(|received| received.bytes == 1));
        check!(fds.len() == 253 && fds.surplus() == 0);
    }
    fds = Fds::default();
    check!(fds.is_empty());
    check!(a.give(opaque(b"x"), most).is_ok());
    let mut few = Fds::<4>::new();
    check!(b.take_into(opaque(&mut buf), &mut few).is_err());
    check!(a.give(opaque(b"x"), most).is_ok());
    let lost = get!(b.take::<4>(opaque(&mut buf)).err());
    check!(matches!(lost, RecvError::ControlTruncated { bytes: 1, size: 1, closed: 18, .. }));
    Ok(())
}

/// What can be done with those that came.
fn containers<S: Carries>(a: &S, b: &S, key: &Key) -> Result<(), Failure> {
    let mut buf = [0; 16];
    let three = [key.passed.as_fd(); 3];
    check!(a.give(opaque(b"three"), opaque(&three)).is_ok());
    let (_, fds) = get!(b.take::<4>(opaque(&mut buf)));
    shows(&fds)?;
    let fds = get!(fds.into_array::<4>().err());
    check!(fds.len() == 3);
    let mut seen = 0;
    for fd in &fds {
        check!(fds.get(opaque(seen)).is_some_and(|same| same.as_raw_fd() == fd.as_raw_fd()));
        seen = seen.wrapping_add(1);
    }
    let mut lent: FdsIter<'_> = fds.iter();
    check!(lent.len() == 3 && lent.next().is_some());
    check!(lent.size_hint() == (2, Some(2)) && lent.clone().len() == 2);
    shows(&lent)?;

    let mut given: FdsIntoIter<4> = fds.into_iter();
    check!(given.len() == 3);
    key.fits(get!(given.next()))?;
    check!(given.size_hint() == (2, Some(2)));
    shows(&given)?;
    key.fits(get!(given.next()))?;
    // The third is closed with the iterator.
    drop(opaque(given));

    check!(a.give(opaque(b"three"), opaque(&three)).is_ok());
    let (_, fds) = get!(b.take::<3>(opaque(&mut buf)));
    let mut given = fds.into_iter();
    for fd in given.by_ref() {
        key.fits(fd)?;
    }
    check!(given.next().is_none() && given.len() == 0);
    Ok(())
}

/// What is refused, and what is not to be had.
fn refusals<S: Carries>(a: &S, b: &S, key: &Key) -> Result<(), Failure> {
    let mut buf = [0; 16];
    let two = [key.passed.as_fd(); 2];
    let without_data = a.give(opaque(b""), opaque(&two));
    if S::IS_STREAM {
        check!(without_data == Err(SendError::NoData { fds: 2 }));
    } else {
        check!(without_data.is_ok_and(|sent| sent.bytes == 0));
        let (received, fds) = get!(b.take::<2>(opaque(&mut buf)));
        check!(received.size == 0 && fds.len() == 2);
    }
    check!(a.give(opaque(b"two"), opaque(&two)).is_ok());
    let other = get!(b.take_exact::<1>(opaque(&mut buf)).err());
    check!(matches!(other, RecvError::WrongCount { bytes: 3, size: 3, wanted: 1, found: 2, .. }));
    check!(a.give(opaque(b"two"), opaque(&two)).is_ok());
    let other = get!(b.take_exact::<253>(opaque(&mut buf)).err());
    check!(matches!(other, RecvError::WrongCount { wanted: 253, found: 2, .. }));

    // Nothing was sent, and nobody waits for it.
    let mut control = AncillaryBuf::<0>::new();
    let mut pieces = [IoSliceMut::new(opaque(&mut buf))];
    let options = opaque(RecvOptions::new().nonblocking());
    let nothing = get!(b.take_with(opaque(&mut pieces), &mut control, options).err());
    check!(nothing == RecvError::Kernel(Errno::AGAIN));
    Ok(())
}
