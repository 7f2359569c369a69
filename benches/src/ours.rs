//! The operations, done with the crate.

use std::hint::black_box;

use afunix::{UnixAddr, UnixDatagram, UnixStream};

use crate::{NAME, PATH};

pub fn pathname_by_value(count: u64) {
    for _ in 0..count {
        // Looked at where it was returned; to bind it to a variable of its own is one move more.
        match &UnixAddr::from_pathname(black_box(PATH)) {
            Ok(addr) => _ = black_box(addr),
            Err(error) => panic!("{error}"),
        }
    }
}

pub fn pathname_in_place(count: u64) {
    let mut addr = UnixAddr::UNNAMED;
    for _ in 0..count {
        addr.set_pathname(black_box(PATH)).expect("a good path");
        black_box(&addr);
    }
}

pub fn abstract_name(count: u64) {
    for _ in 0..count {
        match &UnixAddr::from_abstract_name(black_box(NAME)) {
            Ok(addr) => _ = black_box(addr),
            Err(error) => panic!("{error}"),
        }
    }
}

pub fn reply_in_place(count: u64) {
    let path = crate::by_hand::fresh_path();
    let socket = UnixDatagram::bind(&UnixAddr::from_pathname(&path).expect("a good path"))
        .expect("a fresh path");
    let mut addr = UnixAddr::UNNAMED;
    for _ in 0..count {
        socket.local_addr_into(&mut addr).expect("the name");
        black_box(&addr);
    }
    crate::by_hand::remove(&path);
}

pub fn ping_pong(count: u64) {
    let (a, b) = UnixStream::pair().expect("a pair");
    let message = [0x55; 64];
    let mut buf = [0; 64];
    for _ in 0..count {
        // The reference to the array is hidden, not the slice: C has the length as a constant too.
        let ping: &[u8; 64] = black_box(&message);
        a.write(ping).expect("ping sent");
        let room: &mut [u8; 64] = black_box(&mut buf);
        b.read(room).expect("ping received");
        let pong: &[u8; 64] = black_box(&buf);
        b.write(pong).expect("pong sent");
        let room: &mut [u8; 64] = black_box(&mut buf);
        a.read(room).expect("pong received");
    }
}
