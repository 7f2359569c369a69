//! Who reaches whom: the path of another network namespace does not matter, an abstract name's does.

use afunix::{Errno, UnixAddr, UnixDatagram, UnixSeqpacket, UnixStream};

use crate::check::{Checks, Outcome, leave_network};
use crate::common::kinds::{Connects, Data, Listens, Socket};
use crate::common::{TempDir, name};

/// Whether the client is in the namespace of the server.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Client {
    Here,
    Apart,
}

fn connects<T: Data>(
    checks: &Checks,
    server: &UnixAddr,
    client: Client,
    wanted: Result<(), Errno>,
) -> Outcome {
    let socket = T::serve(server).unwrap();
    let there = crate::common::raw::getsockname(&socket).addr_len;
    checks.same("the length of the name", there, server.addr_len())?;
    if client == Client::Apart && !leave_network() {
        return checks.skip("only root may make a network namespace");
    }
    let client = T::unbound().unwrap();
    checks.same("connect", client.connect_to(server), wanted)?;
    // It tells of the same server, or of none.
    let peer = wanted.and(Ok(*server)).map_err(|_| Errno::NOTCONN);
    checks.same("the peer's name", client.peer_addr(), peer)
}

fn pathname<T: Data>(checks: &Checks, client: Client, wanted: Result<(), Errno>) -> Outcome {
    let dir = TempDir::new();
    let server = dir.addr("test");
    // The NUL belongs to it.
    let len = 2 + dir.join("test").as_os_str().len() + 1;
    checks.same("the length of the address", server.addr_len(), len)?;
    connects::<T>(checks, &server, client, wanted)
}

fn abstract_name<T: Data>(checks: &Checks, client: Client, wanted: Result<(), Errno>) -> Outcome {
    let server = name("test");
    let len = 2 + 1 + server.as_abstract_name().unwrap().len();
    checks.same("the length of the address", server.addr_len(), len)?;
    connects::<T>(checks, &server, client, wanted)
}

const REFUSED: Result<(), Errno> = Err(Errno::CONNREFUSED);

use Client::{Apart, Here};

// The kernel's are of the first two types.
cases!(test:
    stream_pathname |checks| pathname::<UnixStream>(checks, Here, Ok(())),
    stream_abstract |checks| abstract_name::<UnixStream>(checks, Here, Ok(())),
    stream_pathname_netns |checks| pathname::<UnixStream>(checks, Apart, Ok(())),
    stream_abstract_netns |checks| abstract_name::<UnixStream>(checks, Apart, REFUSED),
    dgram_pathname |checks| pathname::<UnixDatagram>(checks, Here, Ok(())),
    dgram_abstract |checks| abstract_name::<UnixDatagram>(checks, Here, Ok(())),
    dgram_pathname_netns |checks| pathname::<UnixDatagram>(checks, Apart, Ok(())),
    dgram_abstract_netns |checks| abstract_name::<UnixDatagram>(checks, Apart, REFUSED),
    seqpacket_pathname |checks| pathname::<UnixSeqpacket>(checks, Here, Ok(())),
    seqpacket_abstract |checks| abstract_name::<UnixSeqpacket>(checks, Here, Ok(())),
    seqpacket_pathname_netns |checks| pathname::<UnixSeqpacket>(checks, Apart, Ok(())),
    seqpacket_abstract_netns |checks| abstract_name::<UnixSeqpacket>(checks, Apart, REFUSED),
);

/// And the server is the one that answers.
fn first_connection_is_the_client<T: Connects>(checks: &Checks) -> Outcome {
    let dir = TempDir::new();
    let server = dir.addr("test");
    let listener = T::Listener::bind(&server).unwrap();
    if !leave_network() {
        return checks.skip("only root may make a network namespace");
    }
    let client = T::connect(&server).unwrap();
    checks.same("what went", client.put(b"x"), Ok(1))?;
    let mut buf = [0; 8];
    let (accepted, _) = listener.accept().unwrap();
    checks.same("what came", (accepted.get(&mut buf), buf[0]), (Ok(1), b'x'))
}

cases!(data_netns:
    stream first_connection_is_the_client::<UnixStream>,
    seqpacket first_connection_is_the_client::<UnixSeqpacket>,
);

cases!(control:
    wrong_expectations_fail |checks: &Checks| {
        checks.fails("connect: Ok(())", |checks| {
            pathname::<UnixStream>(checks, Here, REFUSED)
        })?;
        checks.fails("connect: Ok(())", |checks| {
            abstract_name::<UnixDatagram>(checks, Here, REFUSED)
        })?;
        // Where there may be no other namespace, nothing can be seen.
        if !leave_network() {
            return checks.skip("only root may make a network namespace");
        }
        checks.fails("connect: Err(", |checks| {
            abstract_name::<UnixStream>(checks, Apart, Ok(()))
        })?;
        checks.fails("connect: Ok(())", |checks| {
            pathname::<UnixDatagram>(checks, Apart, REFUSED)
        })
    },
);
