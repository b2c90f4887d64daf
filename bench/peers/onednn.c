// SPDX-License-Identifier: MIT
#include "peer.h"

#include <dnnl.h>
#include <omp.h>

const char *const peer_name = "oneDNN " TEXT(DNNL_VERSION_MAJOR) "." TEXT(
    DNNL_VERSION_MINOR) "." TEXT(DNNL_VERSION_PATCH);

static dnnl_engine_t engine;
static dnnl_primitive_desc_t described;
static dnnl_primitive_t primitive;
static dnnl_memory_t in, out;
static dnnl_stream_t stream;

bool peer_open(const struct job *job)
{
    dnnl_memory_desc_t shape;
    dnnl_softmax_v2_desc_t softmax;
    const dnnl_dims_t dims = {(dnnl_dim_t)job->rows, (dnnl_dim_t)job->cols};
    omp_set_num_threads((int)job->threads); // its threads are OpenMP's
    return dnnl_engine_create(&engine, dnnl_cpu, 0) == dnnl_success &&
           dnnl_memory_desc_init_by_tag(&shape, 2, dims, dnnl_f32, dnnl_ab) == dnnl_success &&
           dnnl_softmax_v2_forward_desc_init(&softmax, dnnl_forward_inference,
                                             dnnl_softmax_accurate, &shape, &shape,
                                             1) == dnnl_success &&
           dnnl_primitive_desc_create(&described, &softmax, NULL, engine, NULL) == dnnl_success &&
           dnnl_primitive_create(&primitive, described) == dnnl_success &&
           dnnl_memory_create(&in, &shape, engine, job->z) == dnnl_success &&
           dnnl_memory_create(&out, &shape, engine, job->p) == dnnl_success &&
           dnnl_stream_create(&stream, engine, dnnl_stream_default_flags) == dnnl_success;
}

void peer_run(const struct job *job)
{
    (void)job;
    const dnnl_exec_arg_t arguments[] = {{DNNL_ARG_SRC, in}, {DNNL_ARG_DST, out}};
    dnnl_primitive_execute(primitive, stream, 2, arguments);
    dnnl_stream_wait(stream);
}

void peer_close(void)
{
    dnnl_stream_destroy(stream);
    dnnl_memory_destroy(out);
    dnnl_memory_destroy(in);
    dnnl_primitive_destroy(primitive);
    dnnl_primitive_desc_destroy(described);
    dnnl_engine_destroy(engine);
}
