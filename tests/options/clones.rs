//! Duplicates.

use std::fs::File;

use afunix::Errno;

use crate::common::{identity, passes_in_child};
use crate::traits::{Options, Queue};

for_all!(
    clone_is_the_same_socket_under_another_number
    clone_without_a_free_number_is_emfile
);
for_data!(connection_ends_with_the_last_of_them);

fn clone_is_the_same_socket_under_another_number<T: Options>(test: &str) {
    // Alone in its process, where low numbers can be made free.
    passes_in_child(test, || {
        let socket = T::fresh();
        // SAFETY: nobody reads there any more.
        assert_eq!(unsafe { libc::close(0) }, 0);
        let clone = socket.try_clone().unwrap();
        let (number, inode, flags, status) = identity(&clone);
        let (old_number, old_inode, ..) = identity(&socket);
        assert!(number >= 3 && number != old_number);
        assert_eq!((inode, flags, status), (old_inode, libc::FD_CLOEXEC, libc::O_RDWR));
        // Options are the socket's; and so is the name.
        clone.set_nonblocking(true).unwrap();
        assert_eq!(identity(&socket).3, libc::O_RDWR | libc::O_NONBLOCK);
        clone.set_credentials(true).unwrap();
        assert_eq!(socket.passcred(), Ok(true));
        assert_eq!(clone.local_addr(), socket.local_addr());
        drop(socket);
        assert_eq!(clone.passcred(), Ok(true));
        // Whoever opens something next gets the number that was free.
        let _null = File::open("/dev/null").unwrap();
    });
}

fn clone_without_a_free_number_is_emfile<T: Options>(test: &str) {
    passes_in_child(test, || {
        let socket = T::fresh();
        let limit = |most| {
            let limit = libc::rlimit { rlim_cur: most, rlim_max: 64 };
            // SAFETY: it reads the structure.
            assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) }, 0);
        };
        limit(64);
        let mut clones = Vec::new();
        let error = loop {
            match socket.try_clone() {
                Ok(clone) => clones.push(clone),
                Err(error) => break error,
            }
        };
        assert_eq!(error, Errno::MFILE);
        assert!(!clones.is_empty());
        drop(clones);
        assert!(socket.try_clone().is_ok());
        limit(3);
        assert_eq!(socket.try_clone().unwrap_err(), Errno::INVAL);
        limit(64);
    });
}

fn connection_ends_with_the_last_of_them<T: Queue>(_: &str) {
    let (a, b) = T::pair().unwrap();
    let clone = a.try_clone().unwrap();
    drop(a);
    clone.put(b"hello").unwrap();
    assert_eq!(b.get(&mut [0; 8]), Ok(5));
    drop(clone);
    assert!(matches!(b.put(b"x"), Err(Errno::PIPE | Errno::CONNREFUSED)));
}
