//! Tests hostile clients: they send invalid data, announce more bytes than they send, or do not read their responses.

use super::*;

#[tokio::test]
async fn garbage_costs_its_own_connection_only() {
    let server = serve_with(Puppet::default(), |config| config.socket_request_max_bytes = 1000).await;
    let mut bystander = connect(server.port).await;
    let frame = |body: &[u8]| [&(body.len() as i32).to_be_bytes(), body].concat();
    let header = |key: i16, version: i16| {
        let body = [
            &key.to_be_bytes()[..],
            &version.to_be_bytes(),
            &[0, 0, 0, 9],
            &[0xff, 0xff],
        ]
        .concat();
        frame(&body)
    };
    let metadata = command("x", 1).to_vec();
    let mut with_count = metadata.clone();
    let count_at = metadata.len() - 3 - 4;
    with_count[count_at..count_at + 4].copy_from_slice(&i32::MAX.to_be_bytes());
    let garbage = [
        ("a negative size", (-5i32).to_be_bytes().to_vec()),
        ("a huge size", i32::MAX.to_be_bytes().to_vec()),
        ("one byte too many", 1001i32.to_be_bytes().to_vec()),
        ("another protocol", b"GET / HTTP/1.1\r\n\r\n".to_vec()),
        ("an empty frame", frame(b"")),
        ("half a header", frame(&[0, 3, 0])),
        ("an unknown key", header(999, 0)),
        ("a negative key", header(-1, 0)),
        ("a key of a KRaft broker", header(52, 0)),
        ("a version of the future", header(3, 13)),
        ("a negative version", header(3, -1)),
        (
            "a body that ends too soon",
            frame(&metadata[4..metadata.len() - 1]),
        ),
        ("a count that lies", with_count),
        ("random bytes", frame(&[0xa5; 900])),
    ];
    for (what, bytes) in garbage {
        let mut stream = connect(server.port).await;
        stream.write_all(&bytes).await.unwrap();
        assert!(is_closed(&mut stream).await, "{what}");
        assert!(is_served(&mut bystander).await, "after {what}");
    }
}

/// The size of this process's address space in bytes, from `/proc`.
fn address_space() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').next().unwrap().parse::<usize>().unwrap() * 4096
}

#[tokio::test]
async fn promises_of_large_requests_reserve_nothing() {
    let server = serve().await;
    let before = address_space();
    let mut streams = vec![];
    for _ in 0..500 {
        let mut stream = connect(server.port).await;
        stream.write_all(&(50i32 << 20).to_be_bytes()).await.unwrap();
        stream.write_all(&[0; 20_000]).await.unwrap();
        streams.push(stream);
    }
    let mut bystander = connect(server.port).await;
    assert!(is_served(&mut bystander).await);
    // 500 times 50 MB would be 25 GB. Tests that run at the same time stay far below the limit.
    let grown = address_space().saturating_sub(before);
    assert!(grown < 4 << 30, "{grown} bytes more than before");
    drop(streams);
    assert!(is_served(&mut bystander).await);
}

#[tokio::test]
async fn half_a_frame_and_gone_harms_nobody() {
    let server = serve().await;
    for length in [0, 1, 3, 4, 10, 20] {
        let mut stream = connect(server.port).await;
        stream.write_all(&command("half", 1)[..length]).await.unwrap();
        drop(stream);
    }
    assert!(is_served(&mut connect(server.port).await).await);
    assert_eq!(server.puppet.finished.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_panic_in_a_handler_costs_its_own_connection_only() {
    let server = serve().await;
    let mut bystander = connect(server.port).await;
    let mut stream = connect(server.port).await;
    stream.write_all(&command("panic", 1)).await.unwrap();
    assert!(is_closed(&mut stream).await);
    assert!(is_served(&mut bystander).await && is_served(&mut connect(server.port).await).await);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_read_is_given_up() {
    let (_, range) = file_of(64 << 20);
    let puppet = Puppet {
        file: Some(range),
        ..Puppet::default()
    };
    let server = serve_with(puppet, |config| config.max_connections = 1).await;
    let mut stream = connect(server.port).await;
    stream.write_all(&fetch()).await.unwrap();
    // The only place becomes free when the server closes the client's connection.
    assert!(is_served(&mut connect(server.port).await).await);
    let mut all = vec![];
    let end = stream.read_to_end(&mut all).await;
    assert!(end.is_err() || all.len() < 64 << 20);
}
