//! What several types do alike, once for each of them.

/// What all five do; leaves with the socket shut down. `$other` is a type that it is not.
#[macro_export]
macro_rules! check_socket {
    ($Type:ident, $socket:expr, $name:expr, not: $Other:ident) => {{
        let (socket, name): ($Type, UnixAddr) = ($socket, $name);
        check!(socket.local_addr() == Ok(name));
        let mut same = opaque(UnixAddr::UNNAMED);
        check!(socket.local_addr_into(&mut same).is_ok() && same == name);
        check!(socket.set_nonblocking(opaque(true)).is_ok());
        check!(socket.set_nonblocking(opaque(false)).is_ok());
        check!(socket.take_error() == Ok(None));
        check!(socket.set_passcred(opaque(true)).is_ok() && socket.passcred() == Ok(true));
        check!(socket.set_passcred(opaque(false)).is_ok() && socket.passcred() == Ok(false));
        // Before Linux 6.5 there is none.
        let has_pidfds = !is(socket.passpidfd(), Errno::NOPROTOOPT);
        check!(socket.set_passpidfd(opaque(true)).is_ok() == has_pidfds);
        check!(!has_pidfds || socket.passpidfd() == Ok(true));
        check!(socket.set_passpidfd(opaque(false)).is_ok() == has_pidfds);
        check!(socket.as_fd().as_raw_fd() == socket.as_raw_fd());
        // Before Linux 6.16 there is none.
        let may_refuse = !is(socket.passrights(), Errno::NOPROTOOPT);
        check!(socket.set_passrights(opaque(false)).is_ok() == may_refuse);
        check!(!may_refuse || socket.passrights() == Ok(false));
        check!(socket.set_passrights(opaque(true)).is_ok() == may_refuse);
        check!(socket.set_passsec(opaque(true)).is_ok() && socket.passsec() == Ok(true));
        check!(socket.set_passsec(opaque(false)).is_ok() && socket.passsec() == Ok(false));
        let clone = get!(socket.try_clone());
        check!(clone.as_raw_fd() != socket.as_raw_fd() && clone.local_addr() == Ok(name));

        let refused = get!($Other::try_from(OwnedFd::from(socket)).err());
        check!(refused.errno() == refused.reason().errno());
        let socket = get!($Type::try_from(refused.into_fd()));
        let socket = $Type::from_fd_unchecked(OwnedFd::from(socket));
        check!(socket.local_addr() == Ok(name));
        let mut line = $crate::out::Line::new();
        check!(core::fmt::Write::write_fmt(&mut line, format_args!("{socket:?}")).is_ok());
        check!(socket.shutdown(opaque(Shutdown::Both)).is_ok());
    }};
}

/// What the three that carry data do.
#[macro_export]
macro_rules! check_data {
    ($Type:ident, $names:expr, tags: $tag:literal $other_tag:literal, not: $Other:ident) => {{
        let name = $names.name($tag)?;
        let bound = get!($Type::bind(&name));
        check!(is($Type::bind(&name), Errno::ADDRINUSE));
        check!(is(bound.peer_addr(), Errno::NOTCONN));
        let later = get!($Type::unbound());
        check!(is(later.bind_to(opaque(&UnixAddr::UNNAMED)), Errno::INVAL));
        let other_name = $names.name($other_tag)?;
        check!(later.bind_to(&other_name).is_ok());
        check!(later.local_addr() == Ok(other_name));
        check_socket!($Type, bound, name, not: $Other);

        let (one, _other) = get!($Type::pair());
        check!(one.peer_addr() == Ok(UnixAddr::UNNAMED));
        let mut peer = opaque(name);
        check!(one.peer_addr_into(&mut peer).is_ok() && peer.is_unnamed());
        let (autobound, name) = get!($Type::autobind());
        check_socket!($Type, autobound, name, not: $Other);
        let autobound = get!($Type::unbound());
        let name = get!(autobound.autobind_to());
        check!(is(autobound.autobind_to(), Errno::INVAL));
        check_socket!($Type, autobound, name, not: $Other);
        check_options!(one);
    }};
}

/// The options that the three have which carry data.
#[macro_export]
macro_rules! check_options {
    ($socket:ident) => {{
        let limit = opaque(core::time::Duration::new(7, 1));
        check!($socket.set_read_timeout(Some(limit)).is_ok());
        check!($socket.set_write_timeout(Some(opaque(core::time::Duration::MAX))).is_ok());
        check!(get!($socket.read_timeout()).is_some_and(|set| set >= limit));
        check!($socket.write_timeout() == Ok(None));
        let none = Some(opaque(core::time::Duration::ZERO));
        check!(is($socket.set_read_timeout(none), Errno::INVAL));
        check!(is($socket.set_write_timeout(none), Errno::INVAL));
        check!($socket.set_read_timeout(None).is_ok());
        check!($socket.set_send_buffer_size(opaque(16_384)).is_ok());
        check!($socket.send_buffer_size() == Ok(32_768));
        check!($socket.set_send_buffer_size(opaque(usize::MAX)).is_ok());
        check!($socket.unread_memory() == Ok(0));
        check!($socket.set_peek_offset(opaque(Some(3))).is_ok());
        check!($socket.peek_offset() == Ok(Some(3)));
        check!(is($socket.set_peek_offset(opaque(Some(u32::MAX))), Errno::INVAL));
        check!($socket.set_peek_offset(opaque(None)).is_ok());
        check!($socket.peek_offset() == Ok(None));
    }};
}

/// What the two that connect do; gives a connection, the client first.
#[macro_export]
macro_rules! check_connected {
    ($Type:ident, $Listener:ident, $names:expr, tags: $tag:literal $from_tag:literal) => {{
        let (name, from) = ($names.name($tag)?, $names.name($from_tag)?);
        check!(is($Type::connect(&name), Errno::CONNREFUSED));
        let socket = get!($Type::bind(&name));
        let listener: $Listener = get!(socket.listen(opaque(4)));
        let client = get!($Type::connect(&name));
        check!(client.peer_addr() == Ok(name));
        let (_server, peer) = get!(listener.accept());
        check!(peer.is_unnamed());

        let late = get!($Type::unbound());
        check!(late.connect_to(&name).is_ok());
        check!(is(late.connect_to(&name), Errno::ISCONN));
        let mut peer = opaque(name);
        check!(listener.accept_into(&mut peer).is_ok() && peer.is_unnamed());

        let client = get!($Type::connect_from_to(&from, &name));
        let (server, peer) = get!(listener.accept());
        check!(peer == from && server.peer_addr() == Ok(from));
        // A listener of its own cannot be had from what is connected.
        let refused = get!(client.listen(opaque(1)).err());
        check!(refused.errno() == Errno::INVAL);

        // What fails leaves no file behind, or the second could not bind to it.
        let path = get!(UnixAddr::from_pathname(opaque(b"afunix-no-std.sock")));
        let nobody = opaque(UnixAddr::UNNAMED);
        check!(is($Type::connect_from_to(&path, &nobody), Errno::INVAL));
        check!(is($Type::connect_from_to(&path, &nobody), Errno::INVAL));
        (refused.into_socket(), server)
    }};
}
