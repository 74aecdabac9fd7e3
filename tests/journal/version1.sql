-- A journal as version 1 of the software left it: `sqlite3 journal.sqlite .dump`.
BEGIN TRANSACTION;
CREATE TABLE about (
	version INTEGER NOT NULL
);
INSERT INTO "about" VALUES(1);
CREATE TABLE "case" (
	id INTEGER NOT NULL, 
	series_uid VARCHAR(64) NOT NULL, 
	study_uid VARCHAR(64) NOT NULL, 
	revision INTEGER NOT NULL, 
	set_digest VARCHAR(64) NOT NULL, 
	partial BOOLEAN NOT NULL, 
	route VARCHAR, 
	state VARCHAR NOT NULL, 
	reasons JSON NOT NULL, 
	attempts INTEGER NOT NULL, 
	owner VARCHAR, 
	created_at VARCHAR NOT NULL, 
	updated_at VARCHAR NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (series_uid, revision), 
	FOREIGN KEY(series_uid) REFERENCES series (series_uid)
);
INSERT INTO "case" VALUES(1,'1.2.3','1.2',1,'dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd',0,'neck','sending','[]',1,NULL,'2026-01-02T03:04:11.000+00:00','2026-01-02T03:04:17.000+00:00');
INSERT INTO "case" VALUES(2,'7.1','1.2',1,'dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd',0,'neck','queued','[{"code": "engine-error", "text": "it failed"}]',1,NULL,'2026-01-02T03:04:23.000+00:00','2026-01-02T03:04:27.000+00:00');
INSERT INTO "case" VALUES(3,'8.1','1.2',1,'dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd',0,NULL,'rejected','[{"code": "not-cervical", "text": "no"}]',0,NULL,'2026-01-02T03:04:31.000+00:00','2026-01-02T03:04:31.000+00:00');
CREATE TABLE delivery (
	id INTEGER NOT NULL, 
	object_id INTEGER NOT NULL, 
	destination VARCHAR NOT NULL, 
	state VARCHAR NOT NULL, 
	attempts INTEGER NOT NULL, 
	code VARCHAR, 
	text VARCHAR, 
	updated_at VARCHAR NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (object_id, destination), 
	FOREIGN KEY(object_id) REFERENCES object (id)
);
INSERT INTO "delivery" VALUES(1,1,'archive','delivered',1,NULL,NULL,'2026-01-02T03:04:19.000+00:00');
INSERT INTO "delivery" VALUES(2,2,'archive','pending',0,NULL,NULL,'2026-01-02T03:04:16.000+00:00');
CREATE TABLE event (
	id INTEGER NOT NULL, 
	at VARCHAR NOT NULL, 
	series_uid VARCHAR(64), 
	case_id INTEGER, 
	what VARCHAR NOT NULL, 
	detail JSON NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "event" VALUES(1,'2026-01-02T03:04:07.000+00:00','1.2.3',NULL,'series receiving','{"calling_ae": "PACS"}');
INSERT INTO "event" VALUES(2,'2026-01-02T03:04:09.000+00:00','1.2.3',NULL,'instance changed','{}');
INSERT INTO "event" VALUES(3,'2026-01-02T03:04:12.000+00:00','1.2.3',1,'case queued','{"revision": 1, "route": "neck", "partial": false, "reasons": []}');
INSERT INTO "event" VALUES(4,'2026-01-02T03:04:14.000+00:00','1.2.3',1,'case running','{}');
INSERT INTO "event" VALUES(5,'2026-01-02T03:04:18.000+00:00','1.2.3',1,'case sending','{"reasons": []}');
INSERT INTO "event" VALUES(6,'2026-01-02T03:04:20.000+00:00','1.2.3',1,'delivery delivered','{"destination": "archive", "code": null, "text": null}');
INSERT INTO "event" VALUES(7,'2026-01-02T03:04:22.000+00:00','7.1',NULL,'series receiving','{"calling_ae": "PACS"}');
INSERT INTO "event" VALUES(8,'2026-01-02T03:04:24.000+00:00','7.1',2,'case queued','{"revision": 1, "route": "neck", "partial": false, "reasons": []}');
INSERT INTO "event" VALUES(9,'2026-01-02T03:04:26.000+00:00','7.1',2,'case running','{}');
INSERT INTO "event" VALUES(10,'2026-01-02T03:04:28.000+00:00','7.1',2,'case queued','{"reasons": [{"code": "engine-error", "text": "it failed"}]}');
INSERT INTO "event" VALUES(11,'2026-01-02T03:04:30.000+00:00','8.1',NULL,'series receiving','{"calling_ae": "PACS"}');
INSERT INTO "event" VALUES(12,'2026-01-02T03:04:32.000+00:00','8.1',3,'case rejected','{"revision": 1, "route": null, "partial": false, "reasons": [{"code": "not-cervical", "text": "no"}]}');
INSERT INTO "event" VALUES(13,'2026-01-02T03:04:34.000+00:00','9.1',NULL,'series receiving','{"calling_ae": "PACS"}');
INSERT INTO "event" VALUES(14,'2026-01-02T03:04:36.000+00:00',NULL,NULL,'bytes quarantined','{"code": "not-dicom"}');
CREATE TABLE instance (
	id INTEGER NOT NULL, 
	sop_instance_uid VARCHAR(64) NOT NULL, 
	sop_class_uid VARCHAR(64) NOT NULL, 
	series_uid VARCHAR(64) NOT NULL, 
	study_uid VARCHAR(64) NOT NULL, 
	digest VARCHAR(64) NOT NULL, 
	path VARCHAR NOT NULL, 
	calling_ae VARCHAR(16) NOT NULL, 
	received_at VARCHAR NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (sop_instance_uid, series_uid, digest)
);
INSERT INTO "instance" VALUES(1,'1.2.3.1','1.2.840.10008.5.1.4.1.1.4','1.2.3','1.2','0000000000000000000000000000000000000000000000000000000000000001','spool/0000000000000000000000000000000000000000000000000000000000000001.dcm','PACS','2026-01-02T03:04:06.000+00:00');
INSERT INTO "instance" VALUES(2,'1.2.3.1','1.2.840.10008.5.1.4.1.1.4','1.2.3','1.2','ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff','spool/ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff.dcm','PACS','2026-01-02T03:04:08.000+00:00');
INSERT INTO "instance" VALUES(3,'1.2.3.2','1.2.840.10008.5.1.4.1.1.4','1.2.3','1.2','0000000000000000000000000000000000000000000000000000000000000002','spool/0000000000000000000000000000000000000000000000000000000000000002.dcm','OTHER','2026-01-02T03:04:10.000+00:00');
INSERT INTO "instance" VALUES(4,'7.1.1','1.2.840.10008.5.1.4.1.1.4','7.1','1.2','0000000000000000000000000000000000000000000000000000000000000001','spool/0000000000000000000000000000000000000000000000000000000000000001.dcm','PACS','2026-01-02T03:04:21.000+00:00');
INSERT INTO "instance" VALUES(5,'8.1.1','1.2.840.10008.5.1.4.1.1.4','8.1','1.2','0000000000000000000000000000000000000000000000000000000000000001','spool/0000000000000000000000000000000000000000000000000000000000000001.dcm','PACS','2026-01-02T03:04:29.000+00:00');
INSERT INTO "instance" VALUES(6,'9.1.1','1.2.840.10008.5.1.4.1.1.4','9.1','1.2','0000000000000000000000000000000000000000000000000000000000000001','spool/0000000000000000000000000000000000000000000000000000000000000001.dcm','PACS','2026-01-02T03:04:33.000+00:00');
CREATE TABLE object (
	id INTEGER NOT NULL, 
	case_id INTEGER NOT NULL, 
	kind VARCHAR NOT NULL, 
	sop_class_uid VARCHAR(64) NOT NULL, 
	sop_instance_uid VARCHAR(64) NOT NULL, 
	path VARCHAR NOT NULL, 
	digest VARCHAR(64) NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (case_id, sop_instance_uid), 
	FOREIGN KEY(case_id) REFERENCES "case" (id)
);
INSERT INTO "object" VALUES(1,1,'SEG','1.2.840.10008.5.1.4.1.1.1','9.1.1','results/1/SEG.dcm','0000000000000000000000000000000000000000000000000000000000000001');
INSERT INTO "object" VALUES(2,1,'SR','1.2.840.10008.5.1.4.1.1.2','9.1.2','results/1/SR.dcm','0000000000000000000000000000000000000000000000000000000000000002');
CREATE TABLE quarantine (
	id INTEGER NOT NULL, 
	digest VARCHAR(64) NOT NULL, 
	path VARCHAR NOT NULL, 
	code VARCHAR NOT NULL, 
	text VARCHAR NOT NULL, 
	calling_ae VARCHAR(16) NOT NULL, 
	received_at VARCHAR NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (digest)
);
INSERT INTO "quarantine" VALUES(1,'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa','quarantine/a.dcm','not-dicom','cannot be parsed','X','2026-01-02T03:04:35.000+00:00');
CREATE TABLE series (
	series_uid VARCHAR(64) NOT NULL, 
	study_uid VARCHAR(64) NOT NULL, 
	arrivals INTEGER NOT NULL, 
	closed BOOLEAN NOT NULL, 
	own_result BOOLEAN NOT NULL, 
	first_arrival_at VARCHAR NOT NULL, 
	last_arrival_at VARCHAR NOT NULL, 
	PRIMARY KEY (series_uid)
);
INSERT INTO "series" VALUES('1.2.3','1.2',3,1,0,'2026-01-02T03:04:06.000+00:00','2026-01-02T03:04:10.000+00:00');
INSERT INTO "series" VALUES('7.1','1.2',1,1,0,'2026-01-02T03:04:21.000+00:00','2026-01-02T03:04:21.000+00:00');
INSERT INTO "series" VALUES('8.1','1.2',1,1,0,'2026-01-02T03:04:29.000+00:00','2026-01-02T03:04:29.000+00:00');
INSERT INTO "series" VALUES('9.1','1.2',1,0,0,'2026-01-02T03:04:33.000+00:00','2026-01-02T03:04:33.000+00:00');
CREATE INDEX instance_by_series ON instance (series_uid);
CREATE INDEX case_by_state ON "case" (state);
CREATE INDEX object_by_uid ON object (sop_instance_uid);
CREATE INDEX delivery_by_state ON delivery (destination, state);
COMMIT;
