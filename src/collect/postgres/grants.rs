//! The SQL that creates Kestrel's role, which can read a few columns and nothing else.

/// The SQL for a role with this name, for a superuser to run. A database owner who can create roles gets
/// warnings about what is left out. The name is quoted as an identifier.
///
/// It grants columns, not tables, so that message bodies, access tokens, password hashes and addresses stay
/// unreadable. It revokes the ways to write that PostgreSQL gives to every role. It creates no view, because
/// PostgreSQL would then reject Synapse's later `ALTER TABLE`.
pub fn grants(role: &str) -> String {
    let name = format!("\"{}\"", role.replace('"', "\"\""));
    let literal = format!("'{}'", role.replace('\'', "''"));
    let mut sql = String::new();
    for line in TEMPLATE.lines() {
        // Two different placeholders, so that a name holding one cannot reach the other.
        let (before, after) = line.split_once("{role}").unwrap_or((line, ""));
        let name = if line.contains("{role}") { name.as_str() } else { "" };
        match before.split_once("{literal}") {
            Some((start, end)) => sql.extend([start, literal.as_str(), end, name, after, "\n"]),
            None => sql.extend([before, name, after, "\n"]),
        }
    }
    sql
}

const TEMPLATE: &str = "\
-- Kestrel's read-only role on Synapse's database. Run it in that database as a superuser; running it again
-- changes nothing. A database owner with CREATEROLE can also run it; it warns about what only a superuser
-- can revoke. Then give the role a password:  \\password kestrel
DO $kestrel$ BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = {literal}) THEN
    CREATE ROLE {role} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS NOINHERIT CONNECTION LIMIT 5;
  END IF;
END $kestrel$;
-- Defaults for a manual login; the role may change them. Kestrel's sessions set their own limits.
ALTER ROLE {role} SET default_transaction_read_only = on;
ALTER ROLE {role} SET statement_timeout = '5s';
ALTER ROLE {role} SET lock_timeout = '1s';
ALTER ROLE {role} SET idle_in_transaction_session_timeout = '15s';
-- The role cannot change this limit. A query that needs more disk space than this fails.
DO $kestrel$ BEGIN
  EXECUTE format('ALTER ROLE %I SET temp_file_limit = %L', {literal}, '256MB');
EXCEPTION WHEN insufficient_privilege THEN
  RAISE WARNING 'temp_file_limit is not set: a query of this role could fill the disk. Run this SQL as a superuser.';
END $kestrel$;
-- Temporary tables are a way to write; Synapse's own role keeps the right (its purge jobs use them).
DO $kestrel$ DECLARE synapse name; BEGIN
  SELECT tableowner INTO synapse FROM pg_tables WHERE tablename = 'devices' AND schemaname NOT LIKE 'pg_%' LIMIT 1;
  IF synapse IS NOT NULL THEN EXECUTE format('GRANT TEMPORARY ON DATABASE %I TO %I', current_database(), synapse); END IF;
  EXECUTE format('REVOKE TEMPORARY ON DATABASE %I FROM PUBLIC', current_database());
END $kestrel$;
-- In PostgreSQL 14 and older, every role may create tables in the schema public, and a database upgraded from such
-- a version still allows it. Roles that own tables in this schema, such as Synapse's, keep the right.
DO $kestrel$ DECLARE owner name; BEGIN
  IF has_schema_privilege('public', 'public', 'CREATE') THEN
    FOR owner IN SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public' LOOP
      EXECUTE format('GRANT CREATE ON SCHEMA public TO %I', owner);
    END LOOP;
    REVOKE CREATE ON SCHEMA public FROM PUBLIC;
  END IF;
END $kestrel$;
-- Large objects, and messages in the write-ahead log, are ways to write too, even in a read-only transaction.
-- PostgreSQL grants them to PUBLIC, so they can be revoked only from all roles of this database at once. Synapse uses
-- neither. Superusers keep them, and so does a role that owns a large object now. To give large objects back to
-- another role:
--   GRANT EXECUTE ON FUNCTION lo_creat(int), lo_create(oid), lo_from_bytea(oid, bytea), lo_put(oid, bigint, bytea),
--     lowrite(int, bytea), lo_truncate(int, int), lo_truncate64(int, bigint), lo_unlink(oid) TO that_role;
DO $kestrel$ DECLARE writer regprocedure; owner name; BEGIN
  FOR writer IN SELECT oid::regprocedure FROM pg_proc
    WHERE pronamespace = 'pg_catalog'::regnamespace AND has_function_privilege('public', oid, 'EXECUTE')
      AND proname IN ('lo_creat', 'lo_create', 'lo_from_bytea', 'lo_import', 'lo_put', 'lowrite', 'lo_truncate',
        'lo_truncate64', 'lo_unlink', 'pg_logical_emit_message') LOOP
    FOR owner IN SELECT DISTINCT r.rolname FROM pg_largeobject_metadata l JOIN pg_roles r ON r.oid = l.lomowner
      WHERE NOT r.rolsuper AND r.rolname <> {literal} LOOP
      EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO %I', writer, owner);
    END LOOP;
    EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', writer);
  END LOOP;
  IF has_function_privilege({literal}, 'lo_from_bytea(oid, bytea)', 'EXECUTE') THEN
    RAISE WARNING 'The role can still create large objects, and so fill the disk. Run this SQL as a superuser.';
  END IF;
END $kestrel$;
-- PostgreSQL lets every role do the following, and no REVOKE prevents it: change its own password and settings, send
-- notifications, take advisory locks, hold snapshots, and write lines into the server's log.
GRANT USAGE ON SCHEMA public TO {role};
-- Public key material and its metadata: any Matrix user may query or claim it.
GRANT SELECT (user_id, device_id, algorithm, key_id, ts_added_ms, key_json) ON e2e_one_time_keys_json TO {role};
GRANT SELECT (user_id, device_id, algorithm, key_id, used) ON e2e_fallback_keys_json TO {role};
GRANT SELECT (user_id, device_id, ts_added_ms, key_json) ON e2e_device_keys_json TO {role};
-- No address, no user agent.
GRANT SELECT (user_id, device_id, display_name, last_seen, hidden) ON devices TO {role};
-- Who sent what kind of event where and when, and what was redacted; no content.
GRANT SELECT (event_id, type, room_id, sender, state_key, origin_server_ts, rejection_reason) ON events TO {role};
GRANT SELECT (event_id, redacts, have_censored) ON redactions TO {role};
-- How many to-device messages wait for whom; no message.
GRANT SELECT (user_id, device_id, stream_id) ON device_inbox TO {role};
GRANT SELECT (user_id, device_id) ON dehydrated_devices TO {role};
-- Kestrel cannot read bodies: these functions return only their shape. They are functions with a string
-- body and not views, because PostgreSQL would refuse Synapse's later ALTER TABLE under a view. None has a statement_timeout of its
-- own: PostgreSQL starts that clock with the caller's statement, so only the session's limit binds.
CREATE SCHEMA IF NOT EXISTS kestrel;
REVOKE ALL ON SCHEMA kestrel FROM PUBLIC;
GRANT USAGE ON SCHEMA kestrel TO {role};
CREATE OR REPLACE FUNCTION kestrel.event_shape(p_event_id text)
RETURNS TABLE (alg_kind text, algorithm text, content_bytes int, sender_device text, delayed boolean)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $shape$
DECLARE content json; meta json; r record;
BEGIN
  FOR r IN SELECT ej.json AS js, ej.internal_metadata AS im FROM public.event_json ej WHERE ej.event_id = p_event_id LOOP
    BEGIN
      -- Synapse stores a NUL as \\u0000, and PostgreSQL refuses to look into such JSON.
      content := replace(r.js, '\\u0000', '\\u0020')::json -> 'content';
      meta := replace(r.im, '\\u0000', '\\u0020')::json;
      alg_kind := coalesce(json_typeof(content -> 'algorithm'), 'absent');
      algorithm := CASE WHEN alg_kind = 'string' THEN left(content ->> 'algorithm', 64) END;
      content_bytes := octet_length(content::text);
      sender_device := meta ->> 'device_id';
      delayed := (meta ->> 'delay_id') IS NOT NULL;
    EXCEPTION WHEN OTHERS THEN alg_kind := NULL; END;
    RETURN NEXT;
  END LOOP;
END $shape$;
REVOKE ALL ON FUNCTION kestrel.event_shape(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION kestrel.event_shape(text) TO {role};
-- Of a waiting message: who sent it, what kind it is, and whose key it is encrypted for.
CREATE OR REPLACE FUNCTION kestrel.inbox_shape(p_user text, p_device text, p_after bigint, p_limit int)
RETURNS TABLE (stream_id bigint, sender text, kind text, algorithm text, recipients text[], bytes int)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $shape$
DECLARE message json; content json; r record;
BEGIN
  FOR r IN SELECT i.stream_id AS id, i.message_json AS js FROM public.device_inbox i
    WHERE i.user_id = p_user AND i.device_id = p_device AND i.stream_id > p_after
    ORDER BY i.stream_id LIMIT least(greatest(p_limit, 0), 1000) LOOP
    stream_id := r.id; bytes := octet_length(r.js);
    sender := NULL; kind := NULL; algorithm := NULL; recipients := '{}';
    BEGIN
      IF bytes < 1048576 THEN
        message := replace(r.js, '\\u0000', '\\u0020')::json;
        content := message -> 'content';
        IF json_typeof(message -> 'sender') = 'string' THEN sender := left(message ->> 'sender', 255); END IF;
        IF json_typeof(message -> 'type') = 'string' THEN kind := left(message ->> 'type', 255); END IF;
        IF json_typeof(content -> 'algorithm') = 'string' THEN algorithm := left(content ->> 'algorithm', 64); END IF;
        IF json_typeof(content -> 'ciphertext') = 'object' THEN
          recipients := ARRAY(SELECT left(k, 64) FROM json_object_keys(content -> 'ciphertext') AS k LIMIT 8);
        END IF;
      END IF;
    EXCEPTION WHEN OTHERS THEN NULL; END;
    RETURN NEXT;
  END LOOP;
END $shape$;
REVOKE ALL ON FUNCTION kestrel.inbox_shape(text, text, bigint, int) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION kestrel.inbox_shape(text, text, bigint, int) TO {role};
-- A delay id lets anyone who has it act on the event (Synapse 1.143 to 1.155): it is hashed here, and
-- neither it nor the event's content can be read. Synapse may have no such table; then this is not called.
CREATE OR REPLACE FUNCTION kestrel.delayed(p_localpart text)
RETURNS TABLE (id text, device text, room text, kind text, delay bigint, due bigint, processed boolean)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $delayed$
BEGIN
  RETURN QUERY SELECT encode(sha256(convert_to(d.delay_id, 'UTF8')), 'hex'), d.device_id, d.room_id, d.event_type, d.delay, d.send_ts, d.is_processed
    FROM public.delayed_events d WHERE d.user_localpart = p_localpart ORDER BY d.send_ts LIMIT 200;
END $delayed$;
REVOKE ALL ON FUNCTION kestrel.delayed(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION kestrel.delayed(text) TO {role};
-- The newest call memberships in one room that were sent as delayed events, between two times in milliseconds.
CREATE OR REPLACE FUNCTION kestrel.delayed_sent(p_room text, p_from bigint, p_to bigint)
RETURNS TABLE (id text, event text, room text, kind text, sender text, sent bigint)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $sent$
BEGIN
  RETURN QUERY SELECT encode(sha256(convert_to(substring(ej.internal_metadata FROM '\"delay_id\": ?\"([^\"\\\\]+)\"'), 'UTF8')), 'hex'), s.event_id, s.room_id, s.type, s.sender, s.origin_server_ts
    FROM (SELECT e.event_id, e.room_id, e.type, e.sender, e.origin_server_ts FROM public.events e
      WHERE e.room_id = p_room AND e.origin_server_ts BETWEEN p_from AND p_to AND NOT e.outlier
        AND e.type IN ('org.matrix.msc3401.call.member', 'm.call.member', 'org.matrix.msc4143.rtc.member', 'm.rtc.member')
      ORDER BY e.origin_server_ts DESC LIMIT 200) AS s
    JOIN public.event_json ej ON ej.event_id = s.event_id
    WHERE ej.internal_metadata LIKE '%\"delay_id\":%';
END $sent$;
REVOKE ALL ON FUNCTION kestrel.delayed_sent(text, bigint, bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION kestrel.delayed_sent(text, bigint, bigint) TO {role};
-- On a replica: whether it receives from its primary, has replayed everything, and how many milliseconds ago it last
-- heard from it. PostgreSQL shows this to members of pg_read_all_stats only, who see the text of all queries too.
CREATE OR REPLACE FUNCTION kestrel.wal_receiver()
RETURNS TABLE (streaming boolean, whole boolean, heard bigint)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $receiver$
BEGIN
  RETURN QUERY SELECT r.status = 'streaming', pg_last_wal_replay_lsn() >= r.latest_end_lsn,
      (extract(epoch FROM clock_timestamp() - r.last_msg_receipt_time) * 1000)::bigint
    FROM pg_stat_wal_receiver r;
END $receiver$;
REVOKE ALL ON FUNCTION kestrel.wal_receiver() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION kestrel.wal_receiver() TO {role};
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_sql() {
        insta::assert_snapshot!("grants", grants("kestrel"));
    }

    #[test]
    fn a_hostile_name_stays_a_name() {
        let sql = grants("k\"; DROP TABLE devices; --{literal}");
        assert!(sql.contains("CREATE ROLE \"k\"\"; DROP TABLE devices; --{literal}\" LOGIN"));
        assert!(!sql.contains("TO k\""));
    }

    #[test]
    fn no_column_that_holds_a_secret_is_granted() {
        let sql = grants("kestrel");
        for secret in
            ["access_token", "password", "message_json", " ip", "user_agent", "event_json", "delay"]
        {
            let granted =
                sql.lines().any(|line| line.starts_with("GRANT SELECT") && line.contains(secret));
            assert!(!granted, "{secret} is granted");
        }
    }
}
