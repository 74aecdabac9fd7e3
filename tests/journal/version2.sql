-- A journal as version 2 of the software left it: `sqlite3 journal.sqlite .dump`.
BEGIN TRANSACTION;
CREATE TABLE about (
	version INTEGER NOT NULL
);
INSERT INTO "about" VALUES(2);
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0002');
CREATE TABLE "case" (
	id INTEGER NOT NULL, 
	series_uid VARCHAR(64) NOT NULL, 
	study_uid VARCHAR(64) NOT NULL, 
	revision INTEGER NOT NULL, 
	set_digest VARCHAR(64) NOT NULL, 
	partial BOOLEAN NOT NULL, 
	route VARCHAR, 
	state VARCHAR NOT NULL, 
	reasons TEXT NOT NULL, 
	attempts INTEGER NOT NULL, 
	claims INTEGER DEFAULT '0' NOT NULL, 
	owner VARCHAR, 
	lease_until FLOAT, 
	purged BOOLEAN DEFAULT 0 NOT NULL, 
	created_at VARCHAR NOT NULL, 
	updated_at VARCHAR NOT NULL, 
	seal VARCHAR(32), 
	PRIMARY KEY (id), 
	UNIQUE (series_uid, revision), 
	FOREIGN KEY(series_uid) REFERENCES series (series_uid)
);
INSERT INTO "case" VALUES(1,'1.1','1.2',1,'dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd',0,'neck','sending','[]',1,1,NULL,NULL,0,'2026-01-02T03:04:09.000+00:00','2026-01-02T03:04:14.000+00:00','3ad93409dac3f4c3fd3a3fc788dd10e6');
INSERT INTO "case" VALUES(2,'2.1','1.2',1,'dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd',0,'neck','delivered','[{"code": "motion", "text": "review: the picture moved"}, {"code": "specks", "text": "review: small pieces"}]',1,1,NULL,NULL,0,'2026-01-02T03:04:19.000+00:00','2026-01-02T03:04:26.000+00:00','816a74a9714af1b54c5064c9b6b8e7e1');
INSERT INTO "case" VALUES(3,'3.1','1.2',1,'dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd',0,'neck','delivered','[{"code": "withheld", "text": "the route sends nothing of a result that is not to be used"}, {"code": "nothing-found", "text": "reject: nothing was found"}]',1,1,NULL,NULL,0,'2026-01-02T03:04:31.000+00:00','2026-01-02T03:04:38.000+00:00','6a8cd02ac4caad7bb84043ef9e6b59f6');
INSERT INTO "case" VALUES(4,'4.1','1.2',1,'dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd',0,'neck','quarantined','[{"code": "engine-error", "text": "reject: no"}]',1,1,NULL,NULL,0,'2026-01-02T03:04:43.000+00:00','2026-01-02T03:04:47.000+00:00','a6567d82505185f1aea7b06ba6c72eed');
INSERT INTO "case" VALUES(5,'5.1','1.2',1,'dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd',0,'neck','delivered','[]',0,0,NULL,NULL,0,'2026-01-02T03:04:05.000+00:00','2026-01-02T03:04:51.000+00:00','7746a439c232d6cbfdafe9d372faf078');
INSERT INTO "case" VALUES(6,'6.1','1.2',1,'dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd',0,'neck','running','[]',1,1,'me',1600.0,0,'2026-01-02T03:04:56.000+00:00','2026-01-02T03:04:58.000+00:00','58a17a33621338f10370d0ba27b36501');
INSERT INTO "case" VALUES(7,'7.1','1.2',1,'dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd',0,'neck','queued','[]',0,0,NULL,NULL,0,'2026-01-02T03:05:03.000+00:00','2026-01-02T03:05:03.000+00:00','5c3276041b58e3b643fa9dd5fcc73864');
CREATE TABLE commitment (
	id INTEGER NOT NULL, 
	transaction_uid VARCHAR(64) NOT NULL, 
	destination VARCHAR NOT NULL, 
	closed BOOLEAN NOT NULL, 
	asked_at VARCHAR NOT NULL, 
	updated_at VARCHAR NOT NULL, 
	seal VARCHAR(32), 
	PRIMARY KEY (id), 
	UNIQUE (transaction_uid)
);
CREATE TABLE commitment_delivery (
	commitment_id INTEGER NOT NULL, 
	delivery_id INTEGER NOT NULL, 
	answered BOOLEAN NOT NULL, 
	PRIMARY KEY (commitment_id, delivery_id), 
	FOREIGN KEY(commitment_id) REFERENCES commitment (id), 
	FOREIGN KEY(delivery_id) REFERENCES delivery (id)
);
CREATE TABLE delivery (
	id INTEGER NOT NULL, 
	object_id INTEGER NOT NULL, 
	destination VARCHAR NOT NULL, 
	state VARCHAR NOT NULL, 
	attempts INTEGER NOT NULL, 
	code VARCHAR, 
	text VARCHAR, 
	sent_at VARCHAR, 
	updated_at VARCHAR NOT NULL, 
	seal VARCHAR(32), 
	PRIMARY KEY (id), 
	UNIQUE (object_id, destination), 
	FOREIGN KEY(object_id) REFERENCES object (id)
);
INSERT INTO "delivery" VALUES(1,1,'archive','pending',0,NULL,NULL,NULL,'2026-01-02T03:04:13.000+00:00','9a5b9db628305d2d37ce8295251ceb18');
INSERT INTO "delivery" VALUES(2,2,'archive','pending',0,NULL,NULL,NULL,'2026-01-02T03:04:13.000+00:00','6641360ccbc151dd22560d4845afeeaa');
CREATE TABLE event (
	id INTEGER NOT NULL, 
	at VARCHAR NOT NULL, 
	series_uid VARCHAR(64), 
	case_id INTEGER, 
	what VARCHAR NOT NULL, 
	detail TEXT NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "event" VALUES(1,'2026-01-02T03:04:07.000+00:00','1.1',NULL,'series receiving','{"calling_ae": "PACS"}');
INSERT INTO "event" VALUES(2,'2026-01-02T03:04:10.000+00:00','1.1',1,'case queued','{"revision": 1, "route": "neck", "partial": false, "reasons": []}');
INSERT INTO "event" VALUES(3,'2026-01-02T03:04:12.000+00:00','1.1',1,'case running','{}');
INSERT INTO "event" VALUES(4,'2026-01-02T03:04:15.000+00:00','1.1',1,'case sending','{"reasons": []}');
INSERT INTO "event" VALUES(5,'2026-01-02T03:04:17.000+00:00','2.1',NULL,'series receiving','{"calling_ae": "PACS"}');
INSERT INTO "event" VALUES(6,'2026-01-02T03:04:20.000+00:00','2.1',2,'case queued','{"revision": 1, "route": "neck", "partial": false, "reasons": []}');
INSERT INTO "event" VALUES(7,'2026-01-02T03:04:22.000+00:00','2.1',2,'case running','{}');
INSERT INTO "event" VALUES(8,'2026-01-02T03:04:25.000+00:00','2.1',2,'case sending','{"reasons": [{"code": "motion", "text": "review: the picture moved"}, {"code": "specks", "text": "review: small pieces"}]}');
INSERT INTO "event" VALUES(9,'2026-01-02T03:04:27.000+00:00','2.1',2,'case delivered','{}');
INSERT INTO "event" VALUES(10,'2026-01-02T03:04:29.000+00:00','3.1',NULL,'series receiving','{"calling_ae": "PACS"}');
INSERT INTO "event" VALUES(11,'2026-01-02T03:04:32.000+00:00','3.1',3,'case queued','{"revision": 1, "route": "neck", "partial": false, "reasons": []}');
INSERT INTO "event" VALUES(12,'2026-01-02T03:04:34.000+00:00','3.1',3,'case running','{}');
INSERT INTO "event" VALUES(13,'2026-01-02T03:04:37.000+00:00','3.1',3,'case sending','{"reasons": [{"code": "withheld", "text": "the route sends nothing of a result that is not to be used"}, {"code": "nothing-found", "text": "reject: nothing was found"}]}');
INSERT INTO "event" VALUES(14,'2026-01-02T03:04:39.000+00:00','3.1',3,'case delivered','{}');
INSERT INTO "event" VALUES(15,'2026-01-02T03:04:41.000+00:00','4.1',NULL,'series receiving','{"calling_ae": "PACS"}');
INSERT INTO "event" VALUES(16,'2026-01-02T03:04:44.000+00:00','4.1',4,'case queued','{"revision": 1, "route": "neck", "partial": false, "reasons": []}');
INSERT INTO "event" VALUES(17,'2026-01-02T03:04:46.000+00:00','4.1',4,'case running','{}');
INSERT INTO "event" VALUES(18,'2026-01-02T03:04:48.000+00:00','4.1',4,'case quarantined','{"reasons": [{"code": "engine-error", "text": "reject: no"}]}');
INSERT INTO "event" VALUES(19,'2026-01-02T03:04:50.000+00:00','5.1',5,'case restored','{}');
INSERT INTO "event" VALUES(20,'2026-01-02T03:04:52.000+00:00','5.1',5,'case delivered','{}');
INSERT INTO "event" VALUES(21,'2026-01-02T03:04:54.000+00:00','6.1',NULL,'series receiving','{"calling_ae": "PACS"}');
INSERT INTO "event" VALUES(22,'2026-01-02T03:04:57.000+00:00','6.1',6,'case queued','{"revision": 1, "route": "neck", "partial": false, "reasons": []}');
INSERT INTO "event" VALUES(23,'2026-01-02T03:04:59.000+00:00','6.1',6,'case running','{}');
INSERT INTO "event" VALUES(24,'2026-01-02T03:05:01.000+00:00','7.1',NULL,'series receiving','{"calling_ae": "PACS"}');
INSERT INTO "event" VALUES(25,'2026-01-02T03:05:04.000+00:00','7.1',7,'case queued','{"revision": 1, "route": "neck", "partial": false, "reasons": []}');
CREATE TABLE expectation (
	series_uid VARCHAR(64) NOT NULL, 
	"by" VARCHAR NOT NULL, 
	instances INTEGER NOT NULL, 
	updated_at VARCHAR NOT NULL, 
	PRIMARY KEY (series_uid, "by")
);
CREATE TABLE instance (
	id INTEGER NOT NULL, 
	sop_instance_uid VARCHAR(64) NOT NULL, 
	sop_class_uid VARCHAR(64) NOT NULL, 
	series_uid VARCHAR(64) NOT NULL, 
	study_uid VARCHAR(64) NOT NULL, 
	digest VARCHAR(64) NOT NULL, 
	path VARCHAR NOT NULL, 
	calling_ae VARCHAR(16) NOT NULL, 
	association VARCHAR DEFAULT '' NOT NULL, 
	received_at VARCHAR NOT NULL, 
	seal VARCHAR(32), 
	PRIMARY KEY (id), 
	UNIQUE (sop_instance_uid, series_uid, digest)
);
INSERT INTO "instance" VALUES(1,'1.1.1','1.2.840.10008.5.1.4.1.1.4','1.1','1.2','0000000000000000000000000000000000000000000000000000000000000001','spool/0000000000000000000000000000000000000000000000000000000000000001.dcm','PACS','','2026-01-02T03:04:06.000+00:00','3749220e22ecc92953ca4f2bc107d90c');
INSERT INTO "instance" VALUES(2,'2.1.1','1.2.840.10008.5.1.4.1.1.4','2.1','1.2','0000000000000000000000000000000000000000000000000000000000000001','spool/0000000000000000000000000000000000000000000000000000000000000001.dcm','PACS','','2026-01-02T03:04:16.000+00:00','d56290506f56005dce8889cb6c02f903');
INSERT INTO "instance" VALUES(3,'3.1.1','1.2.840.10008.5.1.4.1.1.4','3.1','1.2','0000000000000000000000000000000000000000000000000000000000000001','spool/0000000000000000000000000000000000000000000000000000000000000001.dcm','PACS','','2026-01-02T03:04:28.000+00:00','a9ac45bc8ce704c6f5ef5b11226dc46a');
INSERT INTO "instance" VALUES(4,'4.1.1','1.2.840.10008.5.1.4.1.1.4','4.1','1.2','0000000000000000000000000000000000000000000000000000000000000001','spool/0000000000000000000000000000000000000000000000000000000000000001.dcm','PACS','','2026-01-02T03:04:40.000+00:00','7b575d59285d7ae238899f78ba97b1a6');
INSERT INTO "instance" VALUES(5,'6.1.1','1.2.840.10008.5.1.4.1.1.4','6.1','1.2','0000000000000000000000000000000000000000000000000000000000000001','spool/0000000000000000000000000000000000000000000000000000000000000001.dcm','PACS','','2026-01-02T03:04:53.000+00:00','f6e1bdc4897f6147cb706782b7736e2f');
INSERT INTO "instance" VALUES(6,'7.1.1','1.2.840.10008.5.1.4.1.1.4','7.1','1.2','0000000000000000000000000000000000000000000000000000000000000001','spool/0000000000000000000000000000000000000000000000000000000000000001.dcm','PACS','','2026-01-02T03:05:00.000+00:00','29c6e25f39341a51c2c668d43549ae9a');
CREATE TABLE object (
	id INTEGER NOT NULL, 
	case_id INTEGER NOT NULL, 
	kind VARCHAR NOT NULL, 
	sop_class_uid VARCHAR(64) NOT NULL, 
	sop_instance_uid VARCHAR(64) NOT NULL, 
	path VARCHAR NOT NULL, 
	digest VARCHAR(64) NOT NULL, 
	seal VARCHAR(32), 
	PRIMARY KEY (id), 
	UNIQUE (case_id, sop_instance_uid), 
	FOREIGN KEY(case_id) REFERENCES "case" (id)
);
INSERT INTO "object" VALUES(1,1,'SEG','1.2.840.10008.5.1.4.1.1.1','9.1.1','results/1/SEG.dcm','0000000000000000000000000000000000000000000000000000000000000001','1ca54f195b47776b09cde562f3444341');
INSERT INTO "object" VALUES(2,1,'SR','1.2.840.10008.5.1.4.1.1.2','9.1.2','results/1/SR.dcm','0000000000000000000000000000000000000000000000000000000000000002','71555c41535ec26e6b6e4f8e4304a0ba');
INSERT INTO "object" VALUES(3,2,'SEG','1.2.840.10008.5.1.4.1.1.1','9.2.1','results/2/SEG.dcm','0000000000000000000000000000000000000000000000000000000000000001','4032a55e887a63ada18b611a3099a188');
INSERT INTO "object" VALUES(4,2,'SR','1.2.840.10008.5.1.4.1.1.2','9.2.2','results/2/SR.dcm','0000000000000000000000000000000000000000000000000000000000000002','5ac8ba5874d7360f69da48d839cb3805');
INSERT INTO "object" VALUES(5,3,'SEG','1.2.840.10008.5.1.4.1.1.1','9.3.1','results/3/SEG.dcm','0000000000000000000000000000000000000000000000000000000000000001','c09cbb6475a35059709d495f803c6077');
INSERT INTO "object" VALUES(6,3,'SR','1.2.840.10008.5.1.4.1.1.2','9.3.2','results/3/SR.dcm','0000000000000000000000000000000000000000000000000000000000000002','e5bbc49f1249546676406bd79d4adffb');
INSERT INTO "object" VALUES(7,5,'SEG','1.2.840.10008.5.1.4.1.1.1','9.5.1','results/5/SEG.dcm','0000000000000000000000000000000000000000000000000000000000000001','20a4c44cead7010b7f0b508aeab6bc01');
INSERT INTO "object" VALUES(8,5,'SR','1.2.840.10008.5.1.4.1.1.2','9.5.2','results/5/SR.dcm','0000000000000000000000000000000000000000000000000000000000000002','243a2cc9e84a33f13c8dd87d30ce8ee6');
CREATE TABLE promise (
	id INTEGER NOT NULL, 
	transaction_uid VARCHAR(64) NOT NULL, 
	asked_by VARCHAR(16) NOT NULL, 
	"references" TEXT NOT NULL, 
	reported BOOLEAN NOT NULL, 
	attempts INTEGER NOT NULL, 
	failed INTEGER, 
	code VARCHAR, 
	asked_at VARCHAR NOT NULL, 
	updated_at VARCHAR NOT NULL, 
	seal VARCHAR(32), 
	PRIMARY KEY (id), 
	UNIQUE (asked_by, transaction_uid)
);
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
CREATE TABLE series (
	series_uid VARCHAR(64) NOT NULL, 
	study_uid VARCHAR(64) NOT NULL, 
	arrivals INTEGER NOT NULL, 
	instances INTEGER DEFAULT '0' NOT NULL, 
	closed BOOLEAN NOT NULL, 
	own_result BOOLEAN NOT NULL, 
	calling_ae VARCHAR(16) DEFAULT '' NOT NULL, 
	first_arrival_at VARCHAR NOT NULL, 
	last_arrival_at VARCHAR NOT NULL, 
	PRIMARY KEY (series_uid)
);
INSERT INTO "series" VALUES('1.1','1.2',1,1,1,0,'PACS','2026-01-02T03:04:06.000+00:00','2026-01-02T03:04:06.000+00:00');
INSERT INTO "series" VALUES('2.1','1.2',1,1,1,0,'PACS','2026-01-02T03:04:16.000+00:00','2026-01-02T03:04:16.000+00:00');
INSERT INTO "series" VALUES('3.1','1.2',1,1,1,0,'PACS','2026-01-02T03:04:28.000+00:00','2026-01-02T03:04:28.000+00:00');
INSERT INTO "series" VALUES('4.1','1.2',1,1,1,0,'PACS','2026-01-02T03:04:40.000+00:00','2026-01-02T03:04:40.000+00:00');
INSERT INTO "series" VALUES('5.1','1.2',0,0,1,0,'','2026-01-02T03:04:05.000+00:00','2026-01-02T03:04:05.000+00:00');
INSERT INTO "series" VALUES('6.1','1.2',1,1,1,0,'PACS','2026-01-02T03:04:53.000+00:00','2026-01-02T03:04:53.000+00:00');
INSERT INTO "series" VALUES('7.1','1.2',1,1,1,0,'PACS','2026-01-02T03:05:00.000+00:00','2026-01-02T03:05:00.000+00:00');
CREATE INDEX instance_by_series ON instance (series_uid);
CREATE INDEX commitment_by_destination ON commitment (destination, closed);
CREATE INDEX promise_by_reported ON promise (reported);
CREATE INDEX event_by_series ON event (series_uid);
CREATE INDEX case_by_state ON "case" (state);
CREATE INDEX object_by_uid ON object (sop_instance_uid);
CREATE INDEX delivery_by_state ON delivery (destination, state);
COMMIT;
