//! The client understands what a real server says, in each way of proving who one is.

use super::{WireClient, errors, message, rows, summary};
use crate::postgres::{DATABASE, PASSWORD, ROLE};
use crate::{Auth, TestCluster};

const WHO: [(&str, &str); 2] = [("user", ROLE), ("database", DATABASE)];

fn address(cluster: &TestCluster) -> String {
    format!("tcp://127.0.0.1:{}", cluster.port())
}

#[tokio::test]
async fn logs_in_by_every_method() {
    for (auth, asked) in [
        (Auth::Scram, &[10, 11, 12, 0][..]),
        (Auth::Md5, &[5, 0]),
        (Auth::Password, &[3, 0]),
        (Auth::Trust, &[0]),
    ] {
        let cluster = TestCluster::builder().auth(auth).start().await;
        let client = WireClient::login(&address(&cluster), PASSWORD, &WHO).await.unwrap();
        assert_eq!(client.asked, asked, "{auth:?}");
        assert_eq!(client.parameters["client_encoding"], "UTF8");
        assert_eq!(client.key.len(), 8);
    }
}

#[tokio::test]
async fn reads_what_the_server_says() {
    let cluster = TestCluster::shared().await;
    let refused = WireClient::login(&address(cluster), "wrong", &WHO).await;
    assert_eq!(refused.err().unwrap().code(), "28P01");
    let mut client = WireClient::login(&address(cluster), PASSWORD, &WHO).await.unwrap();
    let replies = client.query("SELECT 1, NULL, 'x'; SELECT 1/0; SELECT 2").await.unwrap();
    assert_eq!(summary(&replies), "T D(1,NULL,x) C(SELECT 1) E(22012) Z(I)");
    assert_eq!(errors(&replies)[0].message(), "division by zero");
    let replies = client
        .exchange(&[
            message::parse("a", "SELECT $1::text"),
            message::bind("", "a", &[Some("one")]),
            message::execute("", 0),
            message::sync(),
        ])
        .await
        .unwrap();
    assert_eq!(rows(&replies), ["one"]);
    assert_eq!(summary(&replies), "1 2 D(one) C(SELECT 1) Z(I)");
    assert_eq!(client.rows("SHOW server_encoding").await, ["UTF8"]);
}

#[tokio::test]
async fn cancels_what_runs() {
    let cluster = TestCluster::shared().await;
    let mut client = WireClient::login(&address(cluster), PASSWORD, &WHO).await.unwrap();
    client.send(&message::query("SELECT 'cancel me', pg_sleep(60)")).await.unwrap();
    while cluster.count_backends("query LIKE '%cancel me%' AND wait_event = 'PgSleep'").await == 0 {
        tokio::task::yield_now().await;
    }
    super::cancel(&address(cluster), &client.key).await.unwrap();
    assert_eq!(summary(&client.until_ready().await.unwrap()), "T E(57014) Z(I)");
}
