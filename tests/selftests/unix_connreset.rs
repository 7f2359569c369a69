//! The end of a connection, and what makes it a reset.

use afunix::{Errno, UnixDatagram, UnixStream};

use crate::check::{Checks, Ends, Outcome, case};
use crate::common::kinds::Data;
use crate::common::name;

for_data!(eof reset_unread_behavior);
for_connecting!(reset_closed_embryo);

/// What the client receives.
type Received = Result<usize, Errno>;

/// What one type of socket gives, where the other two give `otherwise`.
const fn of_datagrams<T: Data>(datagrams: Received, otherwise: Received) -> Received {
    if T::TYPE == libc::SOCK_DGRAM { datagrams } else { otherwise }
}

/// A client, and the server that it is connected to.
fn connected<T: Data>() -> (T, afunix::OwnedFd) {
    let there = name("server");
    let server = T::serve(&there).unwrap();
    let client = T::unbound().unwrap();
    client.connect_to(&there).unwrap();
    client.set_nonblocking(true).unwrap();
    (client, server)
}

fn ends<T: Ends>(checks: &Checks, wanted: Received) -> Outcome {
    let (client, server) = connected::<T>();
    let end = T::other_end(server);
    checks.same("before the end", client.get(&mut [0; 16]), Err(Errno::AGAIN))?;
    drop(end);
    checks.same("recv", client.get(&mut [0; 16]), wanted)
}

fn eof<T: Ends>(test: &str) {
    case(test, |checks| ends::<T>(checks, of_datagrams::<T>(Err(Errno::AGAIN), Ok(0))));
}

fn ends_unread<T: Ends>(checks: &Checks, wanted: Received) -> Outcome {
    let (client, server) = connected::<T>();
    let end = T::other_end(server);
    checks.same("send", client.put(b"hello"), Ok(5))?;
    drop(end);
    checks.same("recv", client.get(&mut [0; 16]), wanted)
}

fn reset_unread_behavior<T: Ends>(test: &str) {
    let wanted = of_datagrams::<T>(Err(Errno::AGAIN), Err(Errno::CONNRESET));
    case(test, |checks| ends_unread::<T>(checks, wanted));
}

fn ends_unaccepted<T: Ends>(checks: &Checks, wanted: Received) -> Outcome {
    let (client, server) = connected::<T>();
    drop(server);
    checks.same("recv", client.get(&mut [0; 16]), wanted)
}

fn reset_closed_embryo<T: Ends>(test: &str) {
    case(test, |checks| ends_unaccepted::<T>(checks, Err(Errno::CONNRESET)));
}

cases!(control:
    wrong_expectations_fail |checks: &Checks| {
        let reset = Err(Errno::CONNRESET);
        checks.fails("recv: Ok(0)", |checks| ends::<UnixStream>(checks, reset))?;
        checks.fails("recv: Err", |checks| ends_unread::<UnixStream>(checks, Ok(0)))?;
        checks.fails("recv: Err", |checks| ends_unread::<UnixDatagram>(checks, reset))?;
        checks.fails("recv: Err", |checks| ends_unaccepted::<UnixStream>(checks, Ok(0)))
    },
);
