//! The client beside a server that is played by the test.

use futures_util::StreamExt as _;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
};

use super::*;
use crate::{
    config::Config,
    nats::{NatsCounts, Publication, PublishError, said::Said},
};

/// The server's side of a connection.
struct Played {
    lines: BufReader<OwnedReadHalf>,
    to: OwnedWriteHalf,
}

impl Played {
    /// Lets a client in.
    async fn accept(listener: &TcpListener, max_payload: usize) -> Self {
        let (stream, _): (TcpStream, _) = listener.accept().await.unwrap();
        let (from, to) = stream.into_split();
        let mut played = Self { lines: BufReader::new(from), to };
        played.say(&format!("INFO {{\"max_payload\":{max_payload},\"headers\":true}}\r\n")).await;
        assert!(played.line().await.starts_with("CONNECT {"));
        assert_eq!(played.line().await, "PING");
        played.say("PONG\r\n").await;
        played
    }

    async fn say(&mut self, text: &str) {
        self.to.write_all(text.as_bytes()).await.unwrap();
    }

    async fn line(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).await.unwrap();
        line.trim_end().to_owned()
    }
}

async fn listen() -> (TcpListener, Client, Observers) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("nats://{}", listener.local_addr().unwrap());
    let client = Client::new(&Config::sample(&[("NATS_URL", &url)]), Said::default(), NatsCounts::default());
    let observers = Observers { health: Health::default(), again: Again::default(), keys: "NATS_TOKEN" };
    (listener, client, observers)
}

#[tokio::test]
async fn a_lost_connection_is_made_again_with_its_subscriptions() {
    let (listener, client, observers) = listen().await;
    let mut again = observers.again.listen();
    let (dialed, mut server) = tokio::join!(client.dial(), Played::accept(&listener, 100));
    let keeping = tokio::spawn(keep(client.clone(), dialed.unwrap(), observers));
    assert_eq!(again.next().await, Whose::All);
    let (mut messages, number) = (client.subscribe("a.>"), client.connection());
    let said = Publication { subject: "b", payload: b"hi", ..Publication::default() };
    client.publish(said).await.unwrap();
    for line in ["SUB a.> 1", "PUB b 2", "hi"] {
        assert_eq!(server.line().await, line);
    }
    server.say("MSG a.b 1 2\r\nok\r\nPING\r\n").await;
    assert_eq!(messages.next().await.unwrap().payload(), b"ok");
    assert_eq!(server.line().await, "PONG");
    drop(server);
    while client.is_connected() {
        tokio::task::yield_now().await;
    }
    let mut server = Played::accept(&listener, 200).await;
    assert_eq!(server.line().await, "SUB a.> 1");
    assert_eq!(again.next().await, Whose::All);
    assert_eq!((client.connection(), client.max_payload()), (number + 1, 200));
    // A message that is on its way when the client is closed still gets there.
    client.publish(said).await.unwrap();
    client.close().await;
    assert_eq!((server.line().await.as_str(), server.line().await.as_str()), ("PUB b 2", "hi"));
    assert_eq!(server.line().await, "", "it has said goodbye");
    assert_eq!(
        (messages.next().await.is_none(), client.publish(said).await),
        (true, Err(PublishError::Closed))
    );
    keeping.await.unwrap();
}

#[tokio::test]
async fn what_cannot_be_published_is_told_and_costs_nobody_the_connection() {
    let (listener, client, observers) = listen().await;
    let (dialed, mut server) = tokio::join!(client.dial(), Played::accept(&listener, 4));
    tokio::spawn(keep(client.clone(), dialed.unwrap(), observers));
    let publish =
        |subject, reply, payload| client.publish_now(Publication { subject, reply, headers: None, payload });
    assert_eq!(publish("a", None, b"12345"), Err(PublishError::TooLarge { size: 5, most: 4 }));
    for subject in ["", "a b", "a\r\nPUB c 0", "a\tb", "a\u{7f}"] {
        assert_eq!(publish(subject, None, b""), Err(PublishError::Subject), "{subject:?}");
        assert_eq!(publish("a", Some(subject), b""), Err(PublishError::Subject), "{subject:?}");
    }
    assert_eq!(publish("a", Some("r"), b"1234"), Ok(()));
    assert_eq!((server.line().await.as_str(), server.line().await.as_str()), ("PUB a r 4", "1234"));
}
