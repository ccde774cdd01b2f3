//! Queries Prometheus for the homeserver's latency over the window.
//!
//! A few instant queries at the end of the window, each over the whole window. Config values only become
//! quoted label values; text from a room never gets here.

use std::time::Duration;

use serde::Deserialize;
use tokio::time::timeout;

use super::http::{HttpAnswer, HttpClient};
use crate::config::Prometheus;
use kestrel_core::evidence::delay::{Metrics, Servlet};
use kestrel_core::evidence::{Fact, Gathered, Need, Shown, State, Window};
use kestrel_core::plan::Plan;

/// The name of the source, in answers.
const SOURCE: &str = "prometheus";
/// An answer is a few kilobytes; anything longer is not from Prometheus.
const LARGEST: usize = 1 << 20;
/// Servlets that are kept, slowest first.
const SERVLETS: usize = 24;
/// No request count and no duration is larger than this.
const HIGHEST: f64 = 1e12;
/// A shorter range than two scrapes (15 s to a minute, commonly) has no increase.
const SHORTEST: i64 = 120;

/// One metric.
#[derive(Debug, Clone, Copy)]
enum MetricQuery {
    Count,
    P50,
    P99,
    Pool,
    Reactor,
    Lag,
}

impl MetricQuery {
    const ALL: [Self; 6] =
        [Self::P99, Self::P50, Self::Count, Self::Pool, Self::Reactor, Self::Lag];

    /// The query, over so many seconds.
    fn query(self, labels: &str, seconds: i64) -> String {
        let increase = |metric: &str| format!("increase({metric}{{{labels}}}[{seconds}s])");
        let quantile = |share: &str, by: &str, metric: &str| {
            format!("histogram_quantile({share}, sum by ({by}) ({}))", increase(metric))
        };
        let response = "synapse_http_server_response_time_seconds_bucket";
        match self {
            Self::Count => format!(
                "sum by (servlet) ({})",
                increase("synapse_http_server_response_time_seconds_count")
            ),
            Self::P50 => quantile("0.5", "le,servlet", response),
            Self::P99 => quantile("0.99", "le,servlet", response),
            Self::Pool => quantile("0.99", "le", "synapse_storage_schedule_time_bucket"),
            Self::Reactor => quantile("0.99", "le", "python_twisted_reactor_tick_time_bucket"),
            Self::Lag => {
                format!("max(max_over_time(synapse_event_processing_lag{{{labels}}}[{seconds}s]))")
            }
        }
    }
}

/// Queries what the plan needs.
pub async fn ask(
    plan: &Plan,
    prometheus: Option<&Prometheus>,
    deadline: Duration,
) -> Vec<Gathered> {
    if !plan.needs.contains(&Need::Metrics) {
        return Vec::new();
    }
    let Some(prometheus) = prometheus else {
        let why = State::NotAsked("no Prometheus is configured".into());
        return vec![Gathered::unread(Need::Metrics, SOURCE, String::new(), why)];
    };
    let labels = labels(prometheus);
    let seconds = length(plan.window);
    let query = MetricQuery::P99.query(&labels, seconds);
    let read = timeout(deadline, read(prometheus, plan.window, &labels, seconds)).await;
    let metrics = match read {
        Ok(Ok(metrics)) => metrics,
        Ok(Err(why)) => {
            return vec![Gathered::unread(Need::Metrics, SOURCE, query, State::Failed(why))];
        }
        Err(_) => {
            let why = format!("it did not answer within {} s", deadline.as_secs_f32());
            return vec![Gathered::unread(Need::Metrics, SOURCE, query, State::Failed(why))];
        }
    };
    let state = if metrics.says_anything() { State::Found } else { State::Empty };
    let what = metrics.summary();
    let fact = Some(Fact::Metrics(metrics));
    vec![Gathered::answered(Need::Metrics, SOURCE, state, Shown { what, query }, fact)]
}

/// The window's length in whole seconds.
fn length(window: Window) -> i64 {
    window.to.duration_since(window.from).as_secs().max(SHORTEST)
}

/// The configured labels as a selector: the config checks the names, the values are quoted here.
fn labels(prometheus: &Prometheus) -> String {
    let quoted = |(name, value): &(String, String)| {
        let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        format!("{name}=\"{value}\"")
    };
    prometheus.labels.iter().map(quoted).collect::<Vec<_>>().join(",")
}

async fn read(
    prometheus: &Prometheus,
    window: Window,
    labels: &str,
    seconds: i64,
) -> Result<Metrics, String> {
    let client = HttpClient::new()?;
    let mut metrics = Metrics { seconds: seconds.unsigned_abs(), ..Metrics::default() };
    for figure in MetricQuery::ALL {
        let query = figure.query(labels, seconds);
        let samples = samples(prometheus, &client, &query, window).await?;
        take(&mut metrics, figure, &samples);
    }
    let p99 = |servlet: &Servlet| servlet.p99.unwrap_or(-1.0);
    metrics.servlets.retain(|servlet| servlet.count >= 0.5);
    metrics.servlets.sort_by(|a, b| p99(b).total_cmp(&p99(a)).then_with(|| a.name.cmp(&b.name)));
    // Servlets that the branch asks about stay, however fast they are.
    let asked = |servlet: &Servlet| servlet.name.ends_with("DelayedEventServlet");
    let mut kept = 0;
    metrics.servlets.retain(|servlet| {
        kept += usize::from(!asked(servlet));
        asked(servlet) || kept <= SERVLETS
    });
    Ok(metrics)
}

/// Stores the result of a query.
fn take(metrics: &mut Metrics, figure: MetricQuery, samples: &[Sample]) {
    let first = || samples.first().and_then(Sample::number);
    match figure {
        MetricQuery::Pool => metrics.pool = first(),
        MetricQuery::Reactor => metrics.reactor = first(),
        MetricQuery::Lag => metrics.lag = first(),
        MetricQuery::Count | MetricQuery::P50 | MetricQuery::P99 => {
            for (name, value) in
                samples.iter().filter_map(|one| Some((one.servlet()?, one.number()?)))
            {
                let servlet = servlet(&mut metrics.servlets, name);
                match figure {
                    MetricQuery::Count => servlet.count = value,
                    MetricQuery::P50 => servlet.p50 = Some(value),
                    _ => servlet.p99 = Some(value),
                }
            }
        }
    }
}

fn servlet<'a>(servlets: &'a mut Vec<Servlet>, name: &str) -> &'a mut Servlet {
    let index = servlets.iter().position(|known| known.name == name).unwrap_or_else(|| {
        servlets.push(Servlet { name: name.to_owned(), count: 0.0, p50: None, p99: None });
        servlets.len() - 1
    });
    &mut servlets[index]
}

/// Prometheus's answer to an instant query (<https://prometheus.io/docs/prometheus/latest/querying/api/>).
#[derive(Debug, Deserialize)]
struct QueryAnswer {
    status: String,
    #[serde(default)]
    error: Option<String>,
    #[serde(default)]
    data: Option<Data>,
}

#[derive(Debug, Deserialize)]
struct Data {
    #[serde(default)]
    result: Vec<Sample>,
}

#[derive(Debug, Deserialize)]
struct Sample {
    #[serde(default)]
    metric: std::collections::BTreeMap<String, String>,
    /// Seconds, and the number as text: `NaN` and `+Inf` are not JSON.
    value: (f64, String),
}

impl Sample {
    /// A count, seconds or milliseconds; other values are errors of the metrics.
    fn number(&self) -> Option<f64> {
        self.value.1.parse().ok().filter(|number| (0.0..=HIGHEST).contains(number))
    }

    /// A servlet name is a Python class name; anything else is another metric.
    fn servlet(&self) -> Option<&str> {
        let name = self.metric.get("servlet")?;
        let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        (plain && (1..=80).contains(&name.len())).then_some(name)
    }
}

async fn samples(
    prometheus: &Prometheus,
    client: &HttpClient,
    query: &str,
    window: Window,
) -> Result<Vec<Sample>, String> {
    let base = prometheus.url.as_str().trim_end_matches('/');
    let at = window.to.as_millisecond() as f64 / 1000.0;
    let mut url =
        url::Url::parse(&format!("{base}/api/v1/query")).map_err(|error| error.to_string())?;
    url.query_pairs_mut().append_pair("query", query).append_pair("time", &at.to_string());
    let HttpAnswer { status, body } = client.get(url, &prometheus.access, LARGEST).await?;
    let told: Result<QueryAnswer, _> = serde_json::from_slice(&body);
    match told {
        Ok(QueryAnswer { status, data: Some(data), .. }) if status == "success" => Ok(data.result),
        Ok(QueryAnswer { error: Some(error), .. }) => {
            let error: String = error.chars().filter(|c| !c.is_control()).take(200).collect();
            Err(format!("it rejected the query: {error}"))
        }
        _ if status.as_u16() == 401 || status.as_u16() == 403 => Err(format!(
            "it rejected the login ({status}): set user and password_file, or token_file, in \
                         [prometheus]"
        )),
        _ if !status.is_success() => Err(format!("it answered with {status}")),
        _ => Err("its answer is not Prometheus JSON: check the URL".into()),
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;
    use crate::config::Access;
    use kestrel_core::question::{Question, Span, Topic};

    /// A server that answers every request with this, and tells what it was asked.
    async fn serve(answer: Option<String>) -> (Prometheus, tokio::sync::mpsc::Receiver<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/prom/", listener.local_addr().unwrap());
        let (tell, told) = tokio::sync::mpsc::channel(64);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = vec![0; 8192];
                let length = stream.read(&mut request).await.unwrap_or(0);
                let _ = tell.send(String::from_utf8_lossy(&request[..length]).into_owned()).await;
                match &answer {
                    Some(answer) => drop(stream.write_all(answer.as_bytes()).await),
                    None => tokio::time::sleep(Duration::from_secs(30)).await,
                }
            }
        });
        (Prometheus::open(url.parse().unwrap()), told)
    }

    fn http(status: &str, body: &str) -> Option<String> {
        let length = body.len();
        Some(format!(
            "HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
        ))
    }

    async fn asked(prometheus: &Prometheus) -> Gathered {
        let user = "@a:example.org".try_into().unwrap();
        let day = Duration::from_secs(86_400);
        let now = Timestamp::from_second(1_795_000_000).unwrap();
        let question = Question { topic: Topic::Ke4 { user }, span: Span::Unsaid };
        let plan = Plan::new(&question, None, day, now).unwrap();
        ask(&plan, Some(prometheus), Duration::from_millis(500)).await.remove(0)
    }

    #[tokio::test]
    async fn what_is_no_answer_of_prometheus_is_told_in_words() {
        let long = "x".repeat(LARGEST + 1);
        for (answer, wanted) in [
            (http("200 OK", "<html>"), "not Prometheus JSON"),
            (http("200 OK", "{\"status\":\"success\"}"), "not Prometheus JSON"),
            (http("401 Unauthorized", ""), "in [prometheus]"),
            (http("404 Not Found", "no"), "it answered with 404"),
            (
                http("422 Unprocessable Entity", r#"{"status":"error","error":"too\nmany"}"#),
                "it rejected the query: toomany",
            ),
            (http("302 Found", ""), "it answered with 302"),
            (http("200 OK", &long), "longer than 1024 KiB"),
            (None, "did not answer within"),
        ] {
            let (prometheus, _told) = serve(answer).await;
            let answer = asked(&prometheus).await;
            let State::Failed(why) = &answer.state else { panic!("{wanted}: {answer:?}") };
            assert!(why.contains(wanted), "{why}");
        }
        let nowhere = Prometheus::open("http://127.0.0.1:1".parse().unwrap());
        let State::Failed(why) = asked(&nowhere).await.state else { panic!("reached nowhere") };
        assert!(why.starts_with("it cannot be reached"), "{why}");
    }

    #[tokio::test]
    async fn a_label_is_quoted_and_figures_are_taken() {
        let body = r#"{"status":"success","data":{"resultType":"vector","result":[
            {"metric":{"servlet":"RestartDelayedEventServlet"},"value":[1,"2.5"]},
            {"metric":{"servlet":"Bad name<b>"},"value":[1,"9"]},
            {"metric":{"servlet":"SyncRestServlet"},"value":[1,"NaN"]},
            {"metric":{"servlet":"KeyUploadServlet"},"value":[1,"1e308"]},
            {"metric":{"servlet":"LoginRestServlet"},"value":[1,"-3"]},
            {"metric":{"servlet":"OneTimeKeyServlet"},"value":[1,"+Inf"]}]}}"#;
        let (mut prometheus, mut told) = serve(http("200 OK", body)).await;
        prometheus.labels = vec![("server_name".into(), "a\"} or vector(1) #\\".into())];
        prometheus.access = Access::Token("t0ken".into());
        let answer = asked(&prometheus).await;
        assert_eq!(answer.state, State::Found, "{}", answer.what);
        let Some(Fact::Metrics(metrics)) = answer.fact else { panic!("no metrics") };
        let [servlet] = metrics.servlets.as_slice() else { panic!("{metrics:?}") };
        assert_eq!((servlet.p99, servlet.count), (Some(2.5), 2.5));
        assert!(
            answer.query.contains(r#"{server_name="a\"} or vector(1) #\\"}"#),
            "{}",
            answer.query
        );
        let request = told.recv().await.unwrap();
        assert!(
            request.starts_with("GET /prom/api/v1/query?query=histogram_quantile"),
            "{request}"
        );
        assert!(
            request.contains("time=1795000000") && request.contains("earer t0ken"),
            "{request}"
        );
        assert!(!answer.query.contains("t0ken"));
    }
}
