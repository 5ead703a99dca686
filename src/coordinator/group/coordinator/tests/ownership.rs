//! Tests loading and unloading, and the answers to requests during both.

use super::*;

/// The answer of each API for a group of the partition.
async fn answers(coordinator: &GroupCoordinator) -> Vec<ErrorCode> {
    let commit = coordinator
        .commit_offsets(simple_commit(GROUP, &[(0, 1)]))
        .now_or_never()
        .unwrap();
    vec![
        coordinator
            .join_group(GROUP, consumer())
            .now_or_never()
            .unwrap()
            .error,
        coordinator
            .sync_group(GROUP, sync_request("m", 1, &[]))
            .now_or_never()
            .unwrap()
            .error,
        coordinator.heartbeat(GROUP, "m", None, 1),
        coordinator.leave_group(GROUP, &[]).unwrap_err(),
        commit[0],
        coordinator.fetch_offsets(GROUP, true, None).unwrap_err(),
        coordinator.delete_offsets(GROUP, vec![]).unwrap_err(),
        coordinator.describe_group(GROUP).unwrap_err(),
        coordinator.delete_group(GROUP),
    ]
}

#[tokio::test]
async fn what_is_not_here_or_not_loaded_is_refused_as_each_api_expects() {
    let world = World::new().await;
    let coordinator = &world.coordinator;
    coordinator.on_resignation(GROUP_PARTITION, Some(1));
    assert_eq!(answers(coordinator).await, [ErrorCode::NotCoordinator; 9]);
    assert_eq!(coordinator.list_groups(&[], &[]).0, ErrorCode::None);

    // The load begins when this task waits for the first time.
    coordinator.on_election(GROUP_PARTITION, 2);
    let mut loading = [ErrorCode::CoordinatorLoadInProgress; 9];
    loading[1] = ErrorCode::RebalanceInProgress;
    loading[2] = ErrorCode::None;
    assert_eq!(answers(coordinator).await, loading);
    assert_eq!(
        coordinator.list_groups(&[], &[]).0,
        ErrorCode::CoordinatorLoadInProgress
    );
    world.loaded().await;
    assert_eq!(
        coordinator.heartbeat(GROUP, "m", None, 1),
        ErrorCode::UnknownMemberId
    );

    coordinator.shutdown();
    assert_eq!(
        answers(coordinator).await,
        [ErrorCode::CoordinatorNotAvailable; 9]
    );
    assert_eq!(
        coordinator.list_groups(&[], &[]).0,
        ErrorCode::CoordinatorNotAvailable
    );
}

#[tokio::test]
async fn groups_stay_where_they_are_when_the_topic_gets_more_partitions() {
    let world = World::new().await;
    world.commit(GROUP, &[(0, 1)]).await;
    let would_move = |id: &String| partition_for(id, PARTITIONS) != partition_for(id, PARTITIONS + 1);
    let moved = (2..).map(|n| format!("g{n}")).find(would_move).unwrap();
    world.commit(&moved, &[(0, 2)]).await;
    world.coordinator.on_election(PARTITIONS, 0);
    assert_eq!(world.coordinator.partition_for(GROUP), GROUP_PARTITION);
    let partition = partition_for(&moved, PARTITIONS);
    assert_eq!(world.coordinator.partition_for(&moved), partition);
    assert_eq!(world.fetch(&moved, 0, true), Ok(Some(2)));
    // A partition that existed before can still be elected.
    world.coordinator.on_resignation(partition, Some(1));
    world.coordinator.on_election(partition, 2);
    world.loaded().await;
    assert_eq!(world.fetch(&moved, 0, true), Ok(Some(2)));
    world.coordinator.on_resignation(PARTITIONS, Some(1));
}

#[tokio::test]
async fn late_changes_of_leadership_are_ignored() {
    let world = World::new().await;
    world.commit(GROUP, &[(0, 1)]).await;
    let (coordinator, p) = (&world.coordinator, GROUP_PARTITION);
    coordinator.on_election(p, 5);
    assert_eq!(
        world.fetch(GROUP, 0, true),
        Ok(Some(1)),
        "it leads already, with everything in memory"
    );
    coordinator.on_resignation(p, Some(4));
    assert_eq!(world.fetch(GROUP, 0, true), Ok(Some(1)));
    coordinator.on_resignation(p, Some(6));
    assert_eq!(world.fetch(GROUP, 0, true), Err(ErrorCode::NotCoordinator));
    coordinator.on_election(p, 5);
    assert_eq!(world.fetch(GROUP, 0, true), Err(ErrorCode::NotCoordinator));
    coordinator.on_election(p, 7);
    world.loaded().await;
    assert_eq!(world.fetch(GROUP, 0, true), Ok(Some(1)));
    coordinator.on_resignation(p, None);
    assert_eq!(
        world.fetch(GROUP, 0, true),
        Err(ErrorCode::NotCoordinator),
        "no epoch, no doubt"
    );
    coordinator.on_election(PARTITIONS, 1);
    coordinator.on_resignation(-1, None);
}

#[tokio::test]
async fn a_load_that_is_overtaken_leaves_nothing_behind() {
    let world = World::new().await;
    world.commit(GROUP, &[(0, 1)]).await;
    let (coordinator, p) = (&world.coordinator, GROUP_PARTITION);
    coordinator.on_resignation(p, Some(1));
    coordinator.on_election(p, 2);
    coordinator.on_resignation(p, Some(3));
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert_eq!(world.fetch(GROUP, 0, true), Err(ErrorCode::NotCoordinator));
    coordinator.on_election(p, 4);
    coordinator.on_resignation(p, Some(5));
    coordinator.on_election(p, 6);
    world.loaded().await;
    assert_eq!(world.fetch(GROUP, 0, true), Ok(Some(1)));
}

#[tokio::test]
async fn a_partition_that_cannot_be_read_is_not_owned() {
    let world = World::new().await;
    world.coordinator.on_resignation(GROUP_PARTITION, Some(1));
    world.log.fail_with(Some(ErrorCode::KafkaStorageError));
    world.coordinator.on_election(GROUP_PARTITION, 2);
    world.loaded().await;
    assert_eq!(
        world.fetch(GROUP, 0, true),
        Err(ErrorCode::NotCoordinator),
        "not: nothing was ever committed"
    );
}

#[tokio::test]
async fn those_who_wait_are_sent_to_the_next_coordinator() {
    let world = World::new().await;
    let coordinator = world.coordinator.clone();
    let joining = tokio::spawn(async move { coordinator.join_group(GROUP, consumer()).await });
    until_idle().await;
    world.coordinator.on_resignation(GROUP_PARTITION, Some(1));
    assert_eq!(joining.await.unwrap().error, ErrorCode::NotCoordinator);
}

#[tokio::test]
async fn the_next_coordinator_goes_on_where_the_last_one_stopped() {
    let world = World::new().await;
    let member = world.stable_member().await;
    let mut commit = simple_commit(GROUP, &[(0, 5)]);
    (commit.member_id, commit.generation_id) = (member.clone(), 1);
    world.coordinator.commit_offsets(commit.clone()).await;

    let next = World::on(world.log.clone()).await;
    assert_eq!(
        next.coordinator.heartbeat(GROUP, &member, None, 1),
        ErrorCode::None
    );
    let synced = next
        .coordinator
        .sync_group(GROUP, sync_request(&member, 1, &[]))
        .await;
    assert_eq!(
        (synced.error, &synced.assignment[..]),
        (ErrorCode::None, &b"all"[..])
    );
    assert_eq!(next.coordinator.commit_offsets(commit).await, [ErrorCode::None]);
    assert_eq!(next.fetch(GROUP, 0, true), Ok(Some(5)));
    next.pass(i64::from(SESSION_MS)).await;
    assert_eq!(
        next.coordinator.describe_group(GROUP).unwrap().state,
        GroupState::Empty
    );
}
