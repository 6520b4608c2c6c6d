//! A connection to NATS, to see which messages are sent.

use std::time::Duration;

use async_nats::{Client, ConnectOptions, ServerAddr, Subscriber};
use futures_util::{FutureExt as _, StreamExt as _};

use crate::environment::Environment;

const LIMIT: Duration = Duration::from_secs(5);

/// A connection to NATS, or why there is none.
pub struct Wire {
    client: Result<Client, String>,
}

/// A subject that is watched.
pub struct Watch {
    client: Client,
    subscriber: Subscriber,
}

impl Wire {
    /// Connects. The demo goes on without it, and says so.
    pub async fn connect(environment: &Environment) -> Self {
        let connecting = tokio::time::timeout(LIMIT, connect(environment));
        Self { client: connecting.await.unwrap_or_else(|_| Err("NATS does not answer".to_owned())) }
    }

    /// Watches a subject, as a plain subscriber that answers nothing.
    pub async fn watch(&self, subject: &'static str) -> Result<Watch, String> {
        let client = self.client.clone()?;
        let subscriber = client.subscribe(subject).await.map_err(|error| error.to_string())?;
        echo(&client).await?;
        Ok(Watch { client, subscriber })
    }
}

impl Watch {
    /// The number of messages until now.
    pub async fn seen(mut self) -> Result<usize, String> {
        echo(&self.client).await?;
        let mut seen = 0;
        while let Some(Some(_)) = self.subscriber.next().now_or_never() {
            seen += 1;
        }
        Ok(seen)
    }
}

async fn connect(environment: &Environment) -> Result<Client, String> {
    let urls = environment.nats_url.as_deref().ok_or("NATS_URL is not set")?;
    let servers: Vec<ServerAddr> = urls
        .split(',')
        .map(|url| url.trim().parse())
        .collect::<Result<_, std::io::Error>>()
        .map_err(|error| format!("NATS_URL: {error}"))?;
    let options = match (&environment.nats_user, &environment.nats_token) {
        (Some((user, password)), _) => ConnectOptions::with_user_and_password(user.clone(), password.clone()),
        (None, Some(token)) => ConnectOptions::with_token(token.clone()),
        (None, None) => ConnectOptions::new(),
    };
    options.name("tpro-demo").connect(servers).await.map_err(|error| error.to_string())
}

/// A message to ourselves, there and back: the server has then taken all that this connection said
/// before, and has delivered all that it had for it. (The client's own flush only empties its
/// buffer.)
async fn echo(client: &Client) -> Result<(), String> {
    let subject = client.new_inbox();
    let exchange = async {
        let mut back = client.subscribe(subject.clone()).await.map_err(|error| error.to_string())?;
        client.publish(subject, Default::default()).await.map_err(|error| error.to_string())?;
        back.next().await.ok_or("the connection to NATS is closed".to_owned())
    };
    let limit = tokio::time::timeout(LIMIT, exchange);
    limit.await.unwrap_or_else(|_| Err("NATS does not echo".to_owned())).map(|_| ())
}
