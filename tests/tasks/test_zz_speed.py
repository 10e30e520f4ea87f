import time, pytest
from datetime import timedelta
from sqlalchemy import text
from db import monitoring
from tasks.monitor import MonitorParams, forecast_monitor
from tests.db import rows
from tests.fakes import FakeContext
from tests.tasks.series import START
from tests.db.emptied import database_url, kept_database_url
N=500
def test_speed(database, tenant_id):
    job=rows.queued(database, tenant_id, params={"model":"auto"})
    with database.system() as c:
        c.execute(text("INSERT INTO series (tenant_id,key,title,frequency,timezone,tags,created_at,updated_at) SELECT :t,'s'||i,'s','1h','UTC','{}',now(),now() FROM generate_series(1,:n) i"),{"t":tenant_id,"n":N})
        c.execute(text("INSERT INTO obs_current SELECT :t, s.id, CAST(:s AS timestamptz)+h*interval '1 hour', 100+10*sin(h*0.2618)+random(), NULL, now(), 'r' FROM series s, generate_series(0,1439) h"),{"t":tenant_id,"s":START})
        for night in range(28):
            c.execute(text("INSERT INTO jobs (id,tenant_id,type,queue,state,params,labels,priority,timeout_s,attempt,max_attempts,version,created_at) SELECT 'job_n'||:k,tenant_id,type,queue,'succeeded',params,labels,priority,timeout_s,attempt,max_attempts,version,created_at FROM jobs WHERE id=:j"),{"k":night,"j":job})
            cut=START+timedelta(hours=1440-28*24+24*night-1)
            c.execute(text("INSERT INTO forecasts SELECT 'fc_'||:k||'_'||s.id,:t,'job_n'||:k,s.id,:c,:c,'theta','{0.1,0.5,0.9}', json_build_object('mae',0.3,'mase',1),'[]' FROM series s"),{"k":night,"t":tenant_id,"c":cut})
        c.execute(text("INSERT INTO forecast_points SELECT :t,f.id,f.cutoff+h*interval '1 hour',100,'{99,100,101}' FROM forecasts f, generate_series(1,24) h"),{"t":tenant_id})
        c.execute(text("ANALYZE")) if 0 else None
    for _ in range(2):
        ctx=FakeContext(tenant_id=tenant_id,database=database,job_id=job,now=START+timedelta(days=60))
        t=time.perf_counter(); out=forecast_monitor(MonitorParams(),ctx); t1=time.perf_counter()
        with ctx.read() as c: r=out.store(c)
        t2=time.perf_counter()
        print("inputs",t1-t,"score+conclude",t2-t1,r["matched"],r["performance"],r["input"])
