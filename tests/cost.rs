//! What it costs: no allocation, no dependency that was not meant, few bytes.

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::hint::black_box;
use std::process::Command;

use afunix::{
    AddrText, Ancillary, AncillaryBuf, AncillaryWriter, AsFd, BatchBuf, Fds, IoSlice, IoSliceMut,
    OwnedFd, PidFd, RecvOptions, SendOptions, Space, TakeFds, UnixAddr, UnixDatagram, UnixListener,
    UnixSeqpacket, UnixSeqpacketListener, UnixStream,
};

/// Counts what each thread asks for, and leaves the work to the system.
struct Counting;

thread_local! {
    static COUNT: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: all is done by the system's allocator; the counter allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // A thread that ends has no counter any more.
        let _ = COUNT.try_with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// How often `body` allocates in this thread.
fn allocations(body: impl FnOnce()) -> usize {
    let before = COUNT.get();
    body();
    COUNT.get() - before
}

#[test]
fn the_counter_counts() {
    assert_eq!(allocations(|| drop(black_box(vec![1u8]))), 1);
    assert_eq!(allocations(|| drop(black_box(Box::new(1)))), 1);
}

#[test]
fn addresses_allocate_nothing() {
    let count = allocations(|| {
        let mut addr = UnixAddr::from_pathname(&[b'a'; 108]).unwrap();
        addr.set_abstract_name(b"name").unwrap();
        let text: AddrText = UnixAddr::parse(b"@\xff\n").unwrap().to_text();
        black_box((addr.kind(), addr.as_pathname_cstr(), text.as_str()));
        black_box(UnixAddr::from_raw(addr.as_raw_bytes(), addr.addr_len()).unwrap());
        black_box(UnixAddr::from_pathname(b"a\0b").unwrap_err());
    });
    assert_eq!(count, 0);
}

#[test]
fn streams_allocate_nothing() {
    let _watchdog = common::Watchdog::new();
    let count = allocations(|| {
        let (listener, name) = UnixListener::autobind().unwrap();
        let client = UnixStream::connect(&name).unwrap();
        let (server, _) = listener.accept().unwrap();
        let mut buf = [0; 16];
        client.write(b"ping").unwrap();
        server.read(&mut buf).unwrap();
        server.write_vectored(&[IoSlice::new(b"po"), IoSlice::new(b"ng")]).unwrap();
        client.read_vectored(&mut [IoSliceMut::new(&mut buf)]).unwrap();
        client.set_nonblocking(true).unwrap();
        let _ = black_box((client.local_addr(), client.peer_addr(), client.take_error()));
        UnixStream::try_from(OwnedFd::from(client)).unwrap();
    });
    assert_eq!(count, 0);
}

#[test]
fn messages_allocate_nothing() {
    let _watchdog = common::Watchdog::new();
    let count = allocations(|| {
        let mut buf = [0; 16];
        let (a, name) = UnixDatagram::autobind().unwrap();
        a.send_to(b"message", &name).unwrap();
        let _ = black_box(a.recv_from(&mut buf).unwrap());
        let (listener, name) = UnixSeqpacketListener::autobind().unwrap();
        let client = UnixSeqpacket::connect(&name).unwrap();
        let (server, _) = listener.accept().unwrap();
        client.send(b"message").unwrap();
        let _ = black_box(server.recv(&mut buf).unwrap());
    });
    assert_eq!(count, 0);
}

#[test]
fn descriptors_and_credentials_allocate_nothing() {
    const SPACE: usize = Space::new().credentials().rights::<3>().pidfd().bytes();
    let _watchdog = common::Watchdog::new();
    let count = allocations(|| {
        let (a, b) = UnixStream::pair().unwrap();
        let (fds, data) = ([a.as_fd(), b.as_fd(), a.as_fd()], [IoSlice::new(b"data")]);
        let mut buf = [0; 16];
        a.send_fds(b"data", &fds).unwrap();
        let (_, came) = b.recv_fds::<8>(&mut buf).unwrap();
        assert_eq!(black_box(came.into_iter()).count(), 3);
        afunix::send_fds(&a, b"data", &fds).unwrap();
        drop(black_box(afunix::recv_fds_exact::<3>(&b, &mut buf).unwrap()));
        a.send_fds(b"data", &fds).unwrap();
        black_box(b.recv_fds_exact::<2>(&mut buf).unwrap_err());

        b.set_passcred(true).unwrap();
        let told = b.set_passpidfd(true).is_ok();
        let mut control = AncillaryBuf::<SPACE>::new();
        let mut writer = control.writer();
        writer.push_fds(&fds).unwrap();
        black_box(writer.push_fds(&[a.as_fd(); 253]).unwrap_err());
        a.send_with(&data, &writer, SendOptions::new()).unwrap();
        let pieces = &mut [IoSliceMut::new(&mut buf)];
        let (_, mut came) = b.recv_with(pieces, &mut control, RecvOptions::new()).unwrap();
        let sender = came.credentials().unwrap();
        assert_eq!(came.take_pidfd().unwrap().is_some(), told);
        assert_eq!(came.take_fds().count(), 3);
        drop(came);
        // The same buffer again, to send.
        let mut writer = control.writer();
        writer.push_credentials(sender).unwrap();
        a.send_with(&data, &writer, SendOptions::new()).unwrap();
        let mut none = AncillaryBuf::<0>::new();
        let lost = b.recv_with(pieces, &mut none, RecvOptions::new());
        black_box(lost.unwrap_err());
    });
    assert_eq!(count, 0);
}

#[test]
fn batches_allocate_nothing() {
    const SPACE: usize = Space::new().credentials().rights::<3>().bytes();
    let _watchdog = common::Watchdog::new();
    let count = allocations(|| {
        let mut memory = BatchBuf::<8>::new();
        let (a, b) = UnixSeqpacket::pair().unwrap();
        b.set_passcred(true).unwrap();
        let (data, mut control) = ([IoSlice::new(b"data")], AncillaryBuf::<SPACE>::new());
        let mut writer = control.writer();
        writer.push_fds(&[a.as_fd(), b.as_fd()]).unwrap();
        let mut batch = memory.sender();
        batch.push_with(&data, &writer, None).unwrap();
        batch.push_all(&["plain", "", "longer than there is room for"]).unwrap();
        batch.push_with(&[], &writer, None).unwrap();
        for _ in 0..2 {
            batch.rewind();
            assert_eq!(a.send_batch(&mut batch), Ok(5));
        }
        let (mut bufs, mut froms) = ([[0; 8]; 4], [UnixAddr::UNNAMED; 4]);
        let mut controls = [const { AncillaryBuf::<SPACE>::new() }; 4];
        let mut batch = memory.receiver();
        for ((buf, from), control) in bufs.iter_mut().zip(&mut froms).zip(&mut controls) {
            batch.push_with(buf, control, Some(from)).unwrap();
        }
        let mut fds = 0;
        for mut message in b.recv_batch(&mut batch).unwrap() {
            fds += message.take_ancillary().unwrap().take_fds().count();
        }
        // The rest is dropped as it is, and the end comes behind it.
        let _ = black_box(b.recv_batch(&mut batch).unwrap().next());
        drop(a);
        let _ = black_box(b.recv_batch(&mut batch).unwrap().count());
        assert_eq!(fds, 2);
        drop(batch);

        // By name, and what fails.
        let (inbox, name) = UnixDatagram::autobind().unwrap();
        let mut batch = memory.sender();
        batch.push_to(b"one", &name).unwrap();
        batch.push_to(b"two", &UnixAddr::UNNAMED).unwrap();
        assert_eq!(inbox.send_batch(&mut batch), Ok(1));
        let _ = black_box(inbox.send_batch(&mut batch).unwrap_err());
        let mut batch = memory.receiver();
        batch.push_all(&mut bufs).unwrap();
        assert_eq!(inbox.recv_batch(&mut batch).unwrap().len(), 1);
        batch.set_nonblocking(true);
        let _ = black_box(inbox.recv_batch(&mut batch).map(drop).unwrap_err());
    });
    assert_eq!(count, 0);
}

#[test]
fn the_memory_of_a_batch_is_88_bytes_a_message() {
    let of_one = size_of::<BatchBuf<9>>() - size_of::<BatchBuf<8>>();
    assert_eq!(of_one, if cfg!(target_pointer_width = "64") { 88 } else { 44 });
    assert_eq!(size_of::<BatchBuf<0>>(), size_of::<usize>());
}

#[test]
fn what_passes_descriptors_is_small() {
    assert_eq!(size_of::<AncillaryBuf<0>>(), 0);
    assert_eq!(size_of::<AncillaryBuf<1>>(), 8);
    assert_eq!(size_of::<AncillaryBuf<40>>(), 40);
    assert_eq!(size_of::<AncillaryBuf<1036>>(), 1040);
    // The descriptors and two numbers.
    let numbers = 2 * size_of::<usize>();
    assert!(size_of::<Fds<1>>() <= size_of::<usize>() + numbers);
    assert!(size_of::<Fds<8>>() <= 8 * size_of::<OwnedFd>() + numbers);
    assert!(size_of::<Fds<253>>() <= 254 * size_of::<OwnedFd>() + numbers);
    assert_eq!(size_of::<PidFd>(), size_of::<OwnedFd>());
    assert!(size_of::<Ancillary<'_>>() <= size_of::<[usize; 8]>());
    assert!(size_of::<AncillaryWriter<'_, '_>>() <= 4 * size_of::<usize>());
    assert!(size_of::<TakeFds<'_>>() <= 6 * size_of::<usize>());
}

#[test]
fn a_file_path_allocates_nothing() {
    let folder = common::TempDir::new();
    let (addr, other) = (folder.addr("socket"), folder.addr("nobody"));
    let count = allocations(|| {
        let listener = UnixListener::bind(&addr).unwrap();
        UnixStream::connect(&addr).unwrap();
        // The failure that has to remove a file again.
        UnixStream::connect_from_to(&folder_free(&other), &other).unwrap_err();
        drop(listener);
    });
    assert_eq!(count, 0);
}

/// The path with its last letter replaced, which is free too.
fn folder_free(addr: &UnixAddr) -> UnixAddr {
    let mut path = [0; 108];
    let bytes = addr.as_pathname().unwrap();
    let path = &mut path[..bytes.len()];
    path.copy_from_slice(bytes);
    *path.last_mut().unwrap() = b'!';
    UnixAddr::from_pathname(path).unwrap()
}

#[test]
fn an_address_is_112_bytes_and_a_socket_is_its_descriptor() {
    assert!(size_of::<UnixAddr>() <= 120);
    assert_eq!(size_of::<UnixAddr>(), 112);
    assert_eq!(size_of::<UnixStream>(), size_of::<OwnedFd>());
    assert_eq!(size_of::<UnixSeqpacketListener>(), size_of::<OwnedFd>());
}

/// The names in the tree of what a program gets with the crate.
fn dependencies(features: &[&str]) -> Vec<String> {
    let mut command = Command::new(env!("CARGO"));
    command
        .args(["tree", "--locked", "--edges", "normal", "--prefix", "none", "--format", "{lib}"])
        // As a user gets it, whatever flags this very test was built with.
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .args(["--target", "x86_64-unknown-linux-gnu", "--manifest-path"])
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))
        .args(features);
    let output = common::run(&mut command);
    common::assert_success(&output);
    let text = String::from_utf8(output.stdout).unwrap();
    let mut names: Vec<String> =
        text.lines().filter_map(|line| line.split_whitespace().next()).map(String::from).collect();
    names.sort();
    names.dedup();
    names
}

#[test]
fn it_brings_rustix_and_heapless_and_what_they_bring() {
    let expected = [
        "afunix",
        "bitflags",
        "byteorder",
        "hash32",
        "heapless",
        "linux_raw_sys",
        "rustix",
        "stable_deref_trait",
    ];
    assert_eq!(dependencies(&[]), expected);
    assert_eq!(dependencies(&["--features", "std"]), expected);
    let mut embedded = dependencies(&["--features", "embedded-io-07"]);
    embedded.retain(|name| !expected.contains(&name.as_str()));
    assert_eq!(embedded, ["embedded_io"]);
}
