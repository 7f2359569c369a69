//! The number of bytes left, with each receive.

use afunix::{
    AncillaryBuf, Errno, IoSliceMut, RecvOptions, Space, UnixDatagram, UnixSeqpacket, UnixStream,
};

use crate::check::{Checks, Outcome};
use crate::common::kinds::Data;
use crate::traits::{SO_INQ, set_option};

const MESSAGE: usize = 256;
const MESSAGES: usize = 100;
/// Room for one, and for a second that must not be there.
const ROOM: usize = Space::new().bytes_left().bytes_left().bytes();

/// A pair, of which the second tells it; `None` where the kernel cannot.
fn pair(checks: &Checks) -> Option<(UnixStream, UnixStream)> {
    let (a, b) = UnixStream::pair().unwrap();
    match b.set_inq(true) {
        Err(Errno::NOPROTOOPT) => {
            checks.skip_option("no number of bytes left before Linux 6.17").unwrap();
            None
        }
        result => {
            result.unwrap();
            Some((a, b))
        }
    }
}

/// One receive of 256 bytes, after which this many are left.
fn receive(checks: &Checks, socket: &UnixStream, number: usize, left: usize) -> Outcome {
    let mut control = AncillaryBuf::<ROOM>::new();
    let mut buf = [0; MESSAGE];
    let data = &mut [IoSliceMut::new(&mut buf)];
    let (received, ancillary) =
        socket.recv_with(data, &mut control, RecvOptions::new().nonblocking()).unwrap();
    checks.same(format_args!("bytes of {number}"), received.bytes, MESSAGE)?;
    checks.same(format_args!("truncation of {number}"), ancillary.truncation(), None)?;
    checks.same(format_args!("others with {number}"), ancillary.unknown().count(), 0)?;
    checks.same(format_args!("left after {number}"), ancillary.bytes_left(), Some(left))?;
    checks.same(format_args!("SIOCINQ after {number}"), socket.bytes_readable(), Ok(left))
}

fn basic_stream(checks: &Checks) -> Outcome {
    let Some((a, b)) = pair(checks) else { return Ok(()) };
    checks.same("SIOCINQ at the start", b.bytes_readable(), Ok(0))?;
    for number in 0..MESSAGES {
        checks.same(format_args!("send {number}"), a.write(&[b'x'; MESSAGE]), Ok(MESSAGE))?;
    }
    for number in 0..MESSAGES {
        receive(checks, &b, number, (MESSAGES - 1 - number) * MESSAGE)?;
    }
    Ok(())
}

/// The other types have their messages instead.
fn basic_messages<T: Data>(checks: &Checks) -> Outcome {
    let (_a, b) = T::pair().unwrap();
    checks.same("SO_INQ", set_option(&b, SO_INQ, 1), Err(libc::ENOPROTOOPT))
}

fn reads_in_parts(checks: &Checks, left: [usize; 3]) -> Outcome {
    let Some((a, b)) = pair(checks) else { return Ok(()) };
    checks.same("send", a.write(&[b'x'; 3 * MESSAGE]), Ok(3 * MESSAGE))?;
    checks.same("SIOCINQ", b.bytes_readable(), Ok(3 * MESSAGE))?;
    for (number, left) in left.into_iter().enumerate() {
        receive(checks, &b, number, left)?;
    }
    Ok(())
}

cases!(basic:
    stream basic_stream,
    dgram basic_messages::<UnixDatagram>,
    seqpacket basic_messages::<UnixSeqpacket>,
);

cases!(partial_read: stream |checks| reads_in_parts(checks, [512, 256, 0]));

cases!(control:
    wrong_expectations_fail |checks: &Checks| {
        if pair(checks).is_none() {
            return Ok(());
        }
        let wrong = |left| move |checks: &Checks| reads_in_parts(checks, left);
        checks.fails("left after 0: Some(512)", wrong([513, 256, 0]))?;
        checks.fails("left after 1: Some(256)", wrong([512, 0, 0]))?;
        checks.fails("left after 2: Some(0)", wrong([512, 256, 1]))?;
        // It is not the option that the others lack.
        checks.fails("SO_INQ: Ok(())", basic_messages::<UnixStream>)
    },
);
