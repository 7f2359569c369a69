//! Files of sockets, and how to know them again.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;

use afunix::UnixDatagram;

use crate::common::TempDir;

/// See "A bound file's inode is pinned" in `kernel.md`.
#[test]
fn number_of_a_removed_file_is_not_used_again_while_its_socket_is_open() {
    let folder = TempDir::new();
    let path = folder.join("socket");
    let socket = UnixDatagram::bind(&folder.addr("socket")).unwrap();
    let number = fs::symlink_metadata(&path).unwrap().ino();
    fs::remove_file(&path).unwrap();
    for other in 0..50 {
        let other = folder.join(other.to_string());
        File::create(&other).unwrap();
        assert_ne!(fs::metadata(&other).unwrap().ino(), number);
        fs::remove_file(&other).unwrap();
    }
    drop(socket);
}
