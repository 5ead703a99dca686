//! Tests joining, syncing and leaving through the coordinator.

use super::*;

#[tokio::test]
async fn two_members_share_a_group() {
    let world = World::new().await;
    let (first, second) = (consumer(), consumer());
    let joins = async {
        tokio::join!(
            world.coordinator.join_group(GROUP, first),
            world.coordinator.join_group(GROUP, second)
        )
    };
    let ((a, b), ()) = tokio::join!(joins, world.pass(2 * INITIAL_DELAY_MS));
    assert_eq!(
        (a.error, b.error, a.generation_id),
        (ErrorCode::None, ErrorCode::None, 1)
    );
    let (leader, follower) = if a.members.is_empty() { (b, a) } else { (a, b) };
    let request = sync_request(
        &leader.member_id,
        1,
        &[(&leader.member_id, b"one"), (&follower.member_id, b"two")],
    );
    let (two, one) = tokio::join!(
        world
            .coordinator
            .sync_group(GROUP, sync_request(&follower.member_id, 1, &[])),
        world.coordinator.sync_group(GROUP, request),
    );
    assert_eq!(
        (&one.assignment[..], &two.assignment[..]),
        (&b"one"[..], &b"two"[..])
    );

    let description = world.coordinator.describe_group(GROUP).unwrap();
    assert_eq!(
        (description.state, &*description.protocol),
        (GroupState::Stable, "range")
    );
    assert_eq!(description.members.len(), 2);
    assert_eq!(
        world.coordinator.heartbeat(GROUP, &follower.member_id, None, 1),
        ErrorCode::None
    );
    assert_eq!(world.records(), (1, 0), "one generation is written");

    let leaving = [&leader.member_id, &follower.member_id].map(|id| LeavingMember {
        member_id: id.clone(),
        group_instance_id: None,
        reason: None,
    });
    let codes = world.coordinator.leave_group(GROUP, &leaving);
    assert_eq!(codes, Ok(vec![ErrorCode::None; 2]));
    assert_eq!(
        world.coordinator.describe_group(GROUP).unwrap().state,
        GroupState::Empty
    );
    assert_eq!(world.records(), (2, 0), "and the empty one");
}

#[tokio::test]
async fn what_cannot_be_is_refused() {
    let world = World::new().await;
    let coordinator = &world.coordinator;
    let join = async |group: &str, request: JoinRequest| coordinator.join_group(group, request).await.error;
    assert_eq!(join("", consumer()).await, ErrorCode::InvalidGroupId);
    for session_timeout_ms in [5999, 1_800_001, -1] {
        let request = JoinRequest {
            session_timeout_ms,
            ..consumer()
        };
        assert_eq!(join(GROUP, request).await, ErrorCode::InvalidSessionTimeout);
    }
    assert_eq!(
        join(GROUP, consumer_with_id("m")).await,
        ErrorCode::UnknownMemberId
    );
    assert_eq!(
        coordinator.describe_group(GROUP).unwrap().state,
        GroupState::Dead,
        "no group came of that"
    );
    let sync = async |group: &str| {
        coordinator
            .sync_group(group, sync_request("m", 1, &[]))
            .await
            .error
    };
    assert_eq!(sync("").await, ErrorCode::InvalidGroupId);
    assert_eq!(sync(GROUP).await, ErrorCode::UnknownMemberId);
    assert_eq!(coordinator.heartbeat("", "m", None, 1), ErrorCode::InvalidGroupId);
    assert_eq!(
        coordinator.heartbeat(GROUP, "m", None, 1),
        ErrorCode::UnknownMemberId
    );
    assert_eq!(coordinator.leave_group("", &[]), Err(ErrorCode::InvalidGroupId));
    let nobody = LeavingMember {
        member_id: "m".into(),
        group_instance_id: None,
        reason: None,
    };
    assert_eq!(
        coordinator.leave_group(GROUP, &[nobody]),
        Ok(vec![ErrorCode::UnknownMemberId])
    );
}

#[tokio::test]
async fn an_assignment_counts_only_when_it_is_replicated() {
    let world = World::new().await;
    let joining = world.coordinator.join_group(GROUP, consumer());
    let (joined, ()) = tokio::join!(joining, world.pass(INITIAL_DELAY_MS));
    world.log.set_replicating(false);
    let coordinator = world.coordinator.clone();
    let request = sync_request(&joined.member_id, 1, &[]);
    let syncing = tokio::spawn(async move { coordinator.sync_group(GROUP, request).await });
    until_idle().await;
    assert!(!syncing.is_finished());
    assert_eq!(
        world.coordinator.describe_group(GROUP).unwrap().state,
        GroupState::CompletingRebalance
    );
    world.log.set_replicating(true);
    assert_eq!(syncing.await.unwrap().error, ErrorCode::None);
    assert_eq!(
        world.coordinator.describe_group(GROUP).unwrap().state,
        GroupState::Stable
    );
}

#[tokio::test]
async fn an_assignment_that_cannot_be_written_is_an_error() {
    let world = World::new().await;
    let joining = world.coordinator.join_group(GROUP, consumer());
    let (joined, ()) = tokio::join!(joining, world.pass(INITIAL_DELAY_MS));
    world.log.fail_with(Some(ErrorCode::NotEnoughReplicas));
    let synced = world
        .coordinator
        .sync_group(GROUP, sync_request(&joined.member_id, 1, &[]))
        .await;
    assert_eq!(synced.error, ErrorCode::CoordinatorNotAvailable);
    assert_eq!(
        world.coordinator.describe_group(GROUP).unwrap().state,
        GroupState::PreparingRebalance
    );
}

#[tokio::test]
async fn groups_are_listed_by_state_and_type() {
    let world = World::new().await;
    world.stable_member().await;
    world.commit("simple", &[(0, 1)]).await;
    let list = |states: &[&str], types: &[&str]| {
        let owned = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
        let (code, groups) = world.coordinator.list_groups(&owned(states), &owned(types));
        assert_eq!(code, ErrorCode::None);
        let mut names: Vec<_> = groups
            .iter()
            .map(|g| format!("{}:{}", g.group_id, g.protocol_type))
            .collect();
        names.sort();
        names.join(" ")
    };
    assert_eq!(list(&[], &[]), "g1:consumer simple:");
    assert_eq!(list(&["stable"], &[]), "g1:consumer");
    assert_eq!(list(&["Empty", "Dead"], &["Classic"]), "simple:");
    assert_eq!(list(&["nonsense"], &[]), "");
    assert_eq!(list(&[], &["consumer"]), "");
}

#[tokio::test]
async fn only_empty_groups_are_deleted() {
    let world = World::new().await;
    let member = world.stable_member().await;
    assert_eq!(world.coordinator.delete_group(GROUP), ErrorCode::NonEmptyGroup);
    let leaving = LeavingMember {
        member_id: member,
        group_instance_id: None,
        reason: None,
    };
    world.coordinator.leave_group(GROUP, &[leaving]).unwrap();
    world.commit(GROUP, &[(0, 5), (1, 6)]).await;
    assert_eq!(world.records(), (4, 0));
    assert_eq!(world.coordinator.delete_group(GROUP), ErrorCode::None);
    assert_eq!(world.records(), (4, 3), "two offsets and the group");
    assert_eq!(world.coordinator.delete_group(GROUP), ErrorCode::GroupIdNotFound);
    assert_eq!(world.coordinator.list_groups(&[], &[]).1, []);
    let next = World::on(world.log.clone()).await;
    assert_eq!(
        next.coordinator.list_groups(&[], &[]).1,
        [],
        "for the next coordinator too"
    );
}
