//! Sends the same requests to Apache Kafka and to barnabas and compares the answers. A test is a story: a list of
//! steps. The story runs against a cluster of each kind, and every answer that differs is reported as a difference.
//!
//! ```no_run
//! # use barnabas_testcontainers::parity::{Pair, Story, messages::*};
//! # async fn example() -> anyhow::Result<()> {
//! async fn heartbeats(story: Story) -> anyhow::Result<()> {
//!     for version in 0..=4 {
//!         let unknown = HeartbeatRequest::default().with_member_id("nobody".into());
//!         story.ask("a heartbeat of nobody", version, unknown).await?;
//!     }
//!     Ok(())
//! }
//! let pair = Pair::start(|broker| broker.with("group.min.session.timeout.ms", 100)).await?;
//! pair.play("heartbeats", heartbeats).await;
//! pair.finish()
//! # }
//! ```
//!
//! Before the comparison, everything that may differ is made equal: random ids and producer ids are replaced by numbers
//! in the order in which they appear in the story; a broker's own port and throttle times are replaced too; the
//! [`Answer`] of a response sorts its lists that have no order. A step without an answer, or with a closed connection,
//! is compared as well.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use bytes::{Buf, Bytes, BytesMut};
use kafka_protocol::messages::{RequestHeader, ResponseHeader};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, Request, StrBytes};
use parking_lot::Mutex;
use tokio::sync::Mutex as AsyncMutex;
use tokio::task::JoinHandle;

use crate::raw::{Bytes as RawBytes, Raw};
use crate::{Broker, Cluster, Kind, ZooKeeper};

pub use answer::Answer;
pub use kafka_protocol::messages;
pub use labels::Labels;
pub use records::{StoredRecord, stored_records};

mod admin;
mod answer;
mod labels;
mod records;
mod transactions;

const CORRELATION_ID: i32 = 7;

/// A cluster of Apache Kafka and a cluster of barnabas, with one broker each and the same configuration.
pub struct Pair {
    sides: [Arc<Cluster>; 2],
    differences: Mutex<Vec<String>>,
    steps: Mutex<usize>,
    better_words: &'static [BetterWords],
    used_words: Mutex<BTreeSet<&'static str>>,
}

/// A text that barnabas deliberately words differently from Apache Kafka.
pub struct BetterWords {
    /// Apache Kafka's text. `*` stands for any text.
    pub kafka: &'static str,
    /// The text of barnabas. `*` is replaced by the text that it matched in Kafka's.
    pub barnabas: &'static str,
    /// The reason for the difference.
    pub reason: &'static str,
}

/// One side of a story: the cluster that gets its steps, and the answers.
#[derive(Clone)]
pub struct Story {
    kind: Kind,
    cluster: Arc<Cluster>,
    steps: Arc<Mutex<Vec<Step>>>,
    connection: Arc<AsyncMutex<Option<Raw>>>,
    client_id: &'static str,
}

struct Step {
    name: String,
    answer: Arc<Mutex<Option<Told>>>,
}

/// An answer as a function of the labels. The text is made once the ids that appeared before it are known.
type Told = Box<dyn Fn(&mut Labels) -> String + Send>;

/// A step whose answer may come later. Dropping this closes its connection.
pub struct Pending<T>(JoinHandle<Result<T>>);

impl Pair {
    /// Starts both clusters. `configure` configures each broker.
    pub async fn start(configure: impl Fn(Broker) -> Broker) -> Result<Self> {
        let side = async |kind| -> Result<_> {
            let cluster = Cluster::start_with(ZooKeeper::single().await?, &[kind], &configure).await?;
            Ok(Arc::new(cluster))
        };
        let (kafka, barnabas) = tokio::try_join!(side(Kind::ApacheKafka), side(Kind::Barnabas))?;
        Ok(Self {
            sides: [kafka, barnabas],
            differences: Mutex::default(),
            steps: Mutex::default(),
            better_words: &[],
            used_words: Mutex::default(),
        })
    }

    /// Allows these differences. Each of them must occur: the test fails if an allowed difference does not exist any
    /// more.
    pub fn with_better_words(mut self, words: &'static [BetterWords]) -> Self {
        self.better_words = words;
        self
    }

    /// Apache Kafka's answers, with barnabas's text in each place where the texts are allowed to differ.
    fn in_better_words(&self, mut kafka: Vec<(String, String)>) -> Vec<(String, String)> {
        for (_, answer) in &mut kafka {
            for words in self.better_words {
                if let Some(better) = replaced(answer, words.kafka, words.barnabas) {
                    *answer = better;
                    self.used_words.lock().insert(words.kafka);
                }
            }
        }
        kafka
    }

    /// Runs a story against both clusters at the same time and keeps the differences. Several stories may run at once.
    pub async fn play<F: Future<Output = Result<()>>>(&self, name: &str, scenario: impl Fn(Story) -> F) {
        let tell = async |side: usize, kind| {
            let story = Story::new(kind, self.sides[side].clone());
            let end = scenario(story.clone()).await;
            story.ended(end)
        };
        let begun = Instant::now();
        let (kafka, barnabas) = tokio::join!(tell(0, Kind::ApacheKafka), tell(1, Kind::Barnabas));
        println!("{name}: {} steps in {:?}", kafka.len(), begun.elapsed());
        *self.steps.lock() += kafka.len();
        let differences = differences(name, self.in_better_words(kafka), &barnabas);
        self.differences.lock().extend(differences);
    }

    /// Stops both brokers cleanly and starts them again with changed configurations. No story may be running.
    pub async fn restart(&mut self, change: impl Fn(&mut Broker)) -> Result<()> {
        let again = async |cluster: &mut Arc<Cluster>| -> Result<()> {
            // An abandoned step may still hold a reference for a moment.
            let begun = Instant::now();
            while Arc::get_mut(cluster).is_none() && begun.elapsed() < Duration::from_secs(10) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            let cluster = Arc::get_mut(cluster).context("a story is under way")?;
            for broker in &mut cluster.brokers {
                broker.stop().await?;
                change(broker);
                broker.start().await?;
            }
            cluster.wait_until_ready(cluster.brokers.len()).await
        };
        let [kafka, barnabas] = &mut self.sides;
        tokio::try_join!(again(kafka), again(barnabas))?;
        Ok(())
    }

    /// Fails with all differences, if there are any.
    pub fn finish(self) -> Result<()> {
        let mut differences = self.differences.into_inner();
        let used = self.used_words.into_inner();
        let unused = self
            .better_words
            .iter()
            .filter(|words| !used.contains(words.kafka));
        differences.extend(unused.map(|words| format!("nobody was told: {}", words.kafka)));
        println!(
            "{} different answers in {} steps",
            differences.len(),
            self.steps.into_inner()
        );
        if differences.is_empty() {
            return Ok(());
        }
        bail!("{} differences\n{}", differences.len(), differences.join("\n"))
    }
}

/// The Produce answer of barnabas without its messages about whole batches, where Apache Kafka has no message: Kafka
/// explains only the errors of single records.
fn without_explanations(kafka: &str, barnabas: &str) -> String {
    const EXPLANATION: &str = "record_errors: [], error_message: ";
    let mut parts = barnabas.split(EXPLANATION);
    let mut out = parts.next().unwrap_or_default().to_owned();
    let mut theirs = kafka.split(EXPLANATION).skip(1);
    for part in parts {
        out += EXPLANATION;
        let says_nothing = theirs.next().is_some_and(|theirs| theirs.starts_with("None"));
        out += &match part.split_once("\")") {
            Some((_, rest)) if says_nothing && part.starts_with("Some(") => format!("None{rest}"),
            _ => part.to_owned(),
        };
    }
    out
}

/// The text with every match of `pattern` replaced; `None` if there is no match.
fn replaced(text: &str, pattern: &str, by: &str) -> Option<String> {
    let (begin, end) = pattern.split_once('*').unwrap_or((pattern, ""));
    let (mut out, mut rest) = (String::new(), text);
    while let Some(at) = rest.find(begin) {
        let behind = at + begin.len();
        let Some(length) = rest[behind..].find(end) else {
            break;
        };
        out += &rest[..at];
        out += &by.replace('*', &rest[behind..behind + length]);
        rest = &rest[behind + length + end.len()..];
    }
    (rest.len() < text.len()).then(|| out + rest)
}

/// One text for each step with different answers, in the order of Apache Kafka's steps.
fn differences(play: &str, kafka: Vec<(String, String)>, barnabas: &[(String, String)]) -> Vec<String> {
    let mut theirs: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (step, answer) in barnabas.iter().rev() {
        theirs.entry(step).or_default().push(answer);
    }
    let mut differences = Vec::new();
    for (step, answer) in &kafka {
        let other = theirs
            .get_mut(step.as_str())
            .and_then(Vec::pop)
            .unwrap_or("(not asked)");
        if answer != other && *answer != without_explanations(answer, other) {
            differences.push(format!(
                "{play}: {step}\n    kafka    {answer}\n    barnabas {other}"
            ));
        }
    }
    for (step, answers) in theirs {
        for answer in answers {
            differences.push(format!(
                "{play}: {step}\n    kafka    (not asked)\n    barnabas {answer}"
            ));
        }
    }
    differences
}

impl Story {
    fn new(kind: Kind, cluster: Arc<Cluster>) -> Self {
        Self {
            kind,
            cluster,
            steps: Arc::default(),
            connection: Arc::default(),
            client_id: "parity",
        }
    }

    /// The kind of broker that this side asks. Needed where one kind has a known race.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The cluster of this side, for access to its files and znodes.
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// The same story on a separate connection, with this client id.
    pub fn client(&self, client_id: &'static str) -> Self {
        Self {
            connection: Arc::default(),
            client_id,
            ..self.clone()
        }
    }

    /// One step: sends a request and keeps the answer under the step's name, with the API's name and the version.
    /// Returns `Default` if there was no answer (see the module).
    pub async fn ask<R>(&self, step: &str, version: i16, request: R) -> Result<R::Response>
    where
        R: Request + Send + 'static,
        R::Response: Answer,
    {
        self.begin(step, version, request).answer().await
    }

    /// Does the same as [`Self::ask`] for a request that may wait for other requests. The next step of this connection
    /// waits for its answer.
    pub fn begin<R>(&self, step: &str, version: i16, request: R) -> Pending<R::Response>
    where
        R: Request + Send + 'static,
        R::Response: Answer,
    {
        let api = std::any::type_name::<R>().rsplit("::").next().unwrap_or_default();
        let slot = self.step(format!("{step} ({} v{version})", api.trim_end_matches("Request")));
        let this = self.clone();
        Pending(tokio::spawn(async move {
            let frame = request_frame(&request, version, this.client_id)?;
            let told = match this.exchange(&frame).await {
                Ok(bytes) => read_response::<R>(bytes, version)?,
                Err(reason) => {
                    *slot.lock() = Some(Box::new(move |_| format!("({reason})")));
                    return Ok(R::Response::default());
                }
            };
            let (response, left) = told;
            let kept = response.clone();
            let port = this.cluster.brokers[0].port;
            *slot.lock() = Some(Box::new(move |labels| {
                let mut response = kept.clone();
                response.arrange(&|part| labels.known(&format!("{part:?}")));
                let text = labels
                    .of(&format!("{response:?}"))
                    .replace(&format!("port: {port}"), "port: OWN");
                match left {
                    0 => text,
                    _ => format!("{text} and {left} bytes more"),
                }
            }));
            Ok(response)
        }))
    }

    /// Sends a request on a separate connection and does not keep its answer. Used to wait for a condition.
    pub async fn peek<R: Request>(&self, version: i16, request: R) -> Result<R::Response> {
        let frame = request_frame(&request, version, self.client_id)?;
        let bytes = self.client(self.client_id).exchange(&frame).await;
        let bytes = bytes.map_err(|reason| anyhow::anyhow!("{reason}"))?;
        Ok(read_response::<R>(bytes, version)?.0)
    }

    /// Sends a request that no client library sends. The answer is kept as bytes.
    pub async fn ask_raw(&self, step: &str, request: &RawBytes) {
        let slot = self.step(step.to_owned());
        let answer = self.exchange(&request.0).await;
        *slot.lock() = Some(Box::new(move |labels| match &answer {
            Ok(bytes) => labels.of(&bytes.escape_ascii().to_string()),
            Err(reason) => format!("({reason})"),
        }));
    }

    /// Keeps an observation that is not an answer: an order of events, a znode, a log.
    pub fn observe(&self, what: &str, seen: impl Into<String>) {
        let (slot, seen) = (self.step(what.to_owned()), seen.into());
        *slot.lock() = Some(Box::new(move |labels| labels.of(&seen)));
    }

    fn step(&self, name: String) -> Arc<Mutex<Option<Told>>> {
        let answer = Arc::default();
        let step = Step {
            name,
            answer: Arc::clone(&answer),
        };
        self.steps.lock().push(step);
        answer
    }

    /// The answer to a request, or the reason why there is none.
    async fn exchange(&self, request: &[u8]) -> Result<Vec<u8>, &'static str> {
        let mut connection = self.connection.lock().await;
        if connection.is_none() {
            let address = self.cluster.brokers[0].address();
            *connection = Some(Raw::connect(&address).await.map_err(|_| "no connection")?);
        }
        let raw = connection.as_mut().ok_or("no connection")?;
        raw.request(&RawBytes(request.to_vec())).await;
        let answer = raw.answer().await;
        if !matches!(answer, Ok(Some(_))) {
            *connection = None;
        }
        match answer {
            Ok(Some(bytes)) => Ok(bytes),
            Ok(None) => Err("connection closed"),
            Err(_) => Err("no answer"),
        }
    }

    /// All steps and their answers, made comparable.
    fn ended(&self, end: Result<()>) -> Vec<(String, String)> {
        let mut labels = Labels::default();
        let steps = std::mem::take(&mut *self.steps.lock());
        let tell = |step: Step| {
            let told = step.answer.lock();
            let text = told
                .as_ref()
                .map_or_else(|| "(not waited for)".into(), |told| told(&mut labels));
            (step.name, text)
        };
        let mut told: Vec<_> = steps.into_iter().map(tell).collect();
        if let Err(error) = end {
            told.push((
                format!("the end of the story on {:?}", self.kind),
                format!("{error:#}"),
            ));
        }
        told
    }
}

impl<T> Pending<T> {
    /// Waits for the answer.
    pub async fn answer(mut self) -> Result<T> {
        (&mut self.0).await.context("the step was given up")?
    }

    /// Whether the answer has not arrived yet.
    pub fn is_waiting(&self) -> bool {
        !self.0.is_finished()
    }

    /// Waits until the answer arrives or `limit` is over. Returns whether it has arrived.
    pub async fn within(&mut self, limit: Duration) -> bool {
        let deadline = tokio::time::Instant::now() + limit;
        while self.is_waiting() && tokio::time::Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        !self.is_waiting()
    }
}

impl<T> Drop for Pending<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn request_frame<R: Request>(request: &R, version: i16, client_id: &'static str) -> Result<BytesMut> {
    let mut frame = BytesMut::new();
    RequestHeader::default()
        .with_request_api_key(R::KEY)
        .with_request_api_version(version)
        .with_correlation_id(CORRELATION_ID)
        .with_client_id(Some(StrBytes::from_static_str(client_id)))
        .encode(&mut frame, R::header_version(version))?;
    let name = std::any::type_name::<R>();
    request
        .encode(&mut frame, version)
        .with_context(|| format!("{name} v{version}"))?;
    Ok(frame)
}

/// The response, and the number of bytes after it.
fn read_response<R: Request>(bytes: Vec<u8>, version: i16) -> Result<(R::Response, usize)> {
    let mut bytes = Bytes::from(bytes);
    ResponseHeader::decode(&mut bytes, R::Response::header_version(version))?;
    let name = std::any::type_name::<R::Response>();
    let response = R::Response::decode(&mut bytes, version).with_context(|| format!("{name} v{version}"))?;
    Ok((response, bytes.remaining()))
}
